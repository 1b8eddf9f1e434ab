import type { BlockKernel, BlockWeights } from '../blocks/contract.ts';
import type { BlockConfig, BlockKind } from '../blocks/kinds.ts';
import type {
  Backend,
  BackendDetails,
  CallArguments,
  MemoryUse,
  UploadOptions,
  UploadRowsOptions,
} from '../contract/backend.ts';
import { type Support, supported, unsupported } from '../contract/capability.ts';
import type { Capture, CaptureFunction, CaptureInput } from '../contract/capture.ts';
import { invalid, MambaError } from '../contract/errors.ts';
import type { OperationName, Operations } from '../contract/operations.ts';
import type { DType, HostArray, HostRows, HostTensor, Precision, Tensor, TensorSpec } from '../contract/tensor.ts';
import { checkOneOf, checkOptions, checkShape } from '../operations/check.ts';
import { type Calls, type Conventions, kernelOf, OPERATIONS, resolvers } from '../operations/table.ts';
import { CaptureTensors, CheckedCapture, checkInputs } from './capture.ts';
import type {
  CapturedKernels,
  DeviceTensor,
  Driver,
  FusionContext,
  Kernel,
  RowUpload,
  UploadTarget,
} from './driver.ts';
import { registerFusion } from './fusion.ts';
import { type Memory, TensorHandle, type TensorOwner } from './handle.ts';
import { checkHost, checkHostRows, checkRows, isSpec, rangeOf } from './host.ts';

/** Wraps a driver as a backend. The backend checks every argument once, before a kernel receives it. */
export function createBackend<S>(driver: Driver<S>): Backend {
  return new CheckedBackend(driver);
}

/** The class of a backend's operations. It is empty: `CheckedBackend` adds a method for each entry of `resolvers`. */
const OperationMethods = class {} as new () => Operations<Tensor>;

class CheckedBackend<S> extends OperationMethods implements Backend, TensorOwner<S> {
  readonly name: string;
  readonly description: string;
  readonly details: BackendDetails;
  readonly precision: Precision;
  readonly capture: CaptureFunction | undefined;
  readonly #driver: Driver<S>;
  readonly #conventions: Conventions;
  readonly #live = new Set<TensorHandle<S>>();
  /** Uploads that wait for their next rows. */
  readonly #rowUploads = new Set<RowUpload<S>>();
  readonly #captures = new Set<{ dispose(): void }>();
  /** The tensors of the capture whose function runs. */
  #capturing: CaptureTensors<S> | undefined;
  #disposal: Promise<void> | undefined;
  /** The most bytes so far, while `peakBytes` runs and the driver does not watch by itself. */
  #peak: number | undefined;

  constructor(driver: Driver<S>) {
    super();
    this.#driver = driver;
    this.name = driver.name;
    this.description = driver.description;
    this.details = driver.details;
    this.precision = driver.precision;
    this.capture = driver.capture && ((inputs, run) => this.#capture(inputs, run));
    this.#conventions = { precision: driver.precision, keptSteps: (call) => driver.keptSteps?.(call) };
    const context: FusionContext<S> = {
      backend: this,
      device: (tensor) => {
        this.#refuseInCapture('a fused form');
        return this.#device('a fused operation', tensor);
      },
      tensor: (storage, spec) => this.#adopt(storage, spec),
    };
    registerFusion(this, {
      block: (config, weights, dModel) => fusedBlock(driver, context, config, weights, dModel),
      layer: (source) => driver.layer?.(context, source),
      join: (matrices) =>
        driver
          .join?.(matrices.map((matrix) => this.#device('a joined matrix', matrix)))
          ?.map((storage, index) => this.#adopt(storage, matrices[index]!)),
      model: (config, weights) => driver.model?.(context, config, weights),
    });
  }

  static {
    for (const operation of OPERATIONS) {
      const methods = {
        [operation](this: CheckedBackend<unknown>, ...args: CallArguments<typeof operation>) {
          return this.#run(operation, args);
        },
      };
      Object.defineProperty(CheckedBackend.prototype, operation, {
        value: methods[operation],
        writable: true,
        configurable: true,
      });
    }
  }

  upload(host: HostTensor, options: UploadOptions = {}): Tensor {
    this.#checkAlive();
    checkHost('upload', host);
    const target = this.#target(host, options);
    const support = this.#supportsTarget(host, target);
    if (!support.supported) throw this.#refusal('upload', support.reason);
    const range = host.dtype === 'int32' ? rangeOf(host.data) : undefined;
    return this.#adopt(this.#driver.upload(host, target), { shape: host.shape, dtype: target.dtype, range });
  }

  async uploadRows(host: HostRows, options: UploadRowsOptions = {}): Promise<Tensor> {
    this.#checkAlive();
    this.#refuseInCapture('uploadRows');
    checkHostRows(host);
    checkOptions('uploadRows', options, ['dtype', 'role', 'signal']);
    const { signal, ...how } = options;
    const spec = { dtype: host.dtype, shape: [...host.shape] };
    const [rows, columns] = spec.shape as [number, number];
    const target = this.#target(spec, how);
    const support = this.#supportsTarget(spec, target);
    if (!support.supported) throw this.#refusal('uploadRows', support.reason);
    // These checks run synchronously after each await, so that nothing can be disposed before the rows are used.
    const checked = (given: HostTensor, first: number, count: number): HostTensor => {
      checkSignal(signal);
      this.#checkAlive();
      checkRows(given, { dtype: spec.dtype, shape: [count, columns] }, first);
      return given;
    };
    checkSignal(signal);
    const upload = this.#driver.uploadRows?.(spec, target);
    if (upload === undefined) return this.upload(checked(await host.rows(0, rows), 0, rows), how);
    this.#rowUploads.add(upload);
    try {
      const { rowsAtOnce } = upload;
      for (let first = 0; first < rows; first += rowsAtOnce) {
        const count = Math.min(rowsAtOnce, rows - first);
        upload.write(checked(await host.rows(first, count), first, count));
      }
    } catch (error) {
      // If the backend was disposed meanwhile, its dispose() has freed the storage already.
      if (this.#rowUploads.delete(upload)) this.#driver.free(upload.storage);
      throw error;
    }
    this.#rowUploads.delete(upload);
    return this.#adopt(upload.storage, { shape: spec.shape, dtype: target.dtype });
  }

  async read(tensor: Tensor): Promise<HostArray> {
    this.#checkAlive();
    this.#refuseInCapture('read');
    return this.#driver.read(this.#device('read', tensor));
  }

  async synchronize(): Promise<void> {
    this.#checkAlive();
    this.#refuseInCapture('synchronize');
    await this.#driver.synchronize();
  }

  supports<K extends OperationName>(operation: K, ...args: CallArguments<K>): Support {
    this.#checkAlive();
    checkOneOf('supports', operation, OPERATIONS);
    const { call } = resolvers[operation](this.#conventions, ...args);
    // Tensors were checked when they were made; bare specs are not.
    mapTensors(call, ({ shape }, name) => checkShape(`${operation}.${name}`, shape));
    return this.#supportsCall(operation, call);
  }

  supportsUpload(spec: TensorSpec, options: UploadOptions = {}): Support {
    this.#checkAlive();
    if (!isSpec(spec)) throw invalid('supportsUpload', String(spec), '{ dtype, shape }');
    checkShape('supportsUpload.shape', spec.shape);
    return this.#supportsTarget(spec, this.#target(spec, options));
  }

  memory(): MemoryUse {
    if (this.disposed) return { tensors: 0, bytes: 0, reserved: 0 };
    return { tensors: this.#live.size, ...this.#driver.memory() };
  }

  peakBytes(body: () => void): number {
    this.#checkAlive();
    const end = this.#driver.watchMemory?.() ?? this.#watchResults();
    let peak = 0;
    try {
      body();
    } finally {
      peak = end();
    }
    return peak;
  }

  /** Watches the memory after each result, which is when it can have grown. */
  #watchResults(): () => number {
    const outer = this.#peak;
    let peak = this.#driver.memory().bytes;
    this.#peak = peak;
    return () => {
      peak = this.#peak ?? peak;
      this.#peak = outer === undefined ? undefined : Math.max(outer, peak);
      return peak;
    };
  }

  get disposed(): boolean {
    return this.#disposal !== undefined;
  }

  dispose(): Promise<void> {
    if (this.#disposal === undefined) {
      for (const capture of this.#captures) capture.dispose();
      for (const tensor of this.#live) tensor.dispose();
      for (const { storage } of this.#rowUploads) this.#driver.free(storage);
      this.#rowUploads.clear();
      this.#disposal = Promise.resolve(this.#driver.dispose());
    }
    return this.#disposal;
  }

  release(tensor: TensorHandle<S>, { storage, handles }: Memory<S>): void {
    this.#live.delete(tensor);
    this.#capturing?.made.delete(tensor);
    if (handles === 0 && !this.disposed) this.#driver.free(storage);
  }

  share(tensor: TensorHandle<S>, memory: Memory<S>): TensorHandle<S> {
    this.#refuseInCapture('a second handle of a tensor');
    return this.#track(new TensorHandle(this, memory, tensor));
  }

  /** Runs one operation: checks its arguments, asks whether the driver supports the call, and calls the kernel. */
  #run<K extends OperationName>(operation: K, args: CallArguments<K>): Tensor | Record<string, Tensor> | undefined {
    this.#checkAlive();
    // Handles are specs, and resolvers keep what they are given, so the call holds the caller's handles.
    const { call, outputs } = resolvers[operation](this.#conventions, ...args);
    const onDevice = mapTensors(call, (tensor, name) =>
      this.#device(`${operation}.${name}`, tensor),
    ) as unknown as Calls<DeviceTensor<S>>[K];
    const support = this.#supportsCall(operation, call);
    if (!support.supported) throw this.#refusal(operation, support.reason);
    const kernel = this.#driver.kernels[kernelOf(operation)] as unknown as Kernel<K, S>;
    return this.#wrap(kernel(onDevice), outputs as object | undefined);
  }

  /** Wraps a storage, or an object of storages, as handles with the outputs' specs. An update has no result. */
  #wrap(result: unknown, outputs: object | undefined): Tensor | Record<string, Tensor> | undefined {
    if (outputs === undefined) return undefined;
    if (isSpec(outputs)) return this.#adopt(result as S, outputs);
    const storages = result as Readonly<Record<string, S>>;
    return Object.fromEntries(
      Object.entries(outputs as Readonly<Record<string, TensorSpec>>).map(([name, spec]) => [
        name,
        this.#adopt(storages[name]!, spec),
      ]),
    );
  }

  #adopt(storage: S, spec: TensorSpec): Tensor {
    return this.#track(new TensorHandle(this, { storage, handles: 0 }, spec));
  }

  #track(tensor: TensorHandle<S>): TensorHandle<S> {
    this.#live.add(tensor);
    this.#capturing?.made.add(tensor);
    if (this.#peak !== undefined) this.#peak = Math.max(this.#peak, this.#driver.memory().bytes);
    return tensor;
  }

  #capture<R>(given: readonly CaptureInput[], run: (inputs: readonly Tensor[]) => R): Capture<R> {
    this.#checkAlive();
    this.#refuseInCapture('another capture');
    const inputs = checkInputs(given, this.precision);
    for (const spec of inputs) {
      const support = this.#supportsTarget(spec, { dtype: spec.dtype, role: undefined });
      if (!support.supported) throw this.#refusal('capture', support.reason);
    }
    const tensors = new CaptureTensors<S>();
    let result: R | undefined;
    let kernels: CapturedKernels;
    try {
      kernels = this.#driver.capture!(inputs, (storages) => {
        this.#capturing = tensors;
        try {
          const handles = storages.map((storage, index) => this.#adopt(storage, inputs[index]!));
          tensors.keep();
          result = run(handles);
          if (typeof (result as { then?: unknown } | undefined)?.then === 'function')
            throw invalid('capture.run', 'a promise', 'a function that does not wait');
        } catch (error) {
          tensors.letGo();
          throw error;
        } finally {
          this.#capturing = undefined;
        }
      });
    } catch (error) {
      // The driver may have failed after the function ran.
      tensors.letGo();
      throw error;
    }
    tensors.keep();
    const capture = new CheckedCapture<S, R>(
      {
        checkReplay: () => {
          this.#checkAlive();
          this.#refuseInCapture('a replay');
        },
        forget: (disposed) => this.#captures.delete(disposed),
      },
      { inputs, kernels, tensors, result: result as R },
    );
    this.#captures.add(capture);
    return capture;
  }

  /** @throws MambaError `unsupported` while the function of a capture runs. */
  #refuseInCapture(what: string): void {
    if (this.#capturing === undefined) return;
    throw new MambaError('unsupported', `${this.name} cannot capture ${what}`, {
      origin: 'capture.run',
      expected: 'operations, uploads and disposals alone',
      remedy: 'Call it before the capture or after it.',
    });
  }

  #device(origin: string, tensor: TensorSpec): DeviceTensor<S> {
    if (!(tensor instanceof TensorHandle)) {
      throw new MambaError('foreign', `${origin} is not a tensor of this backend`, {
        origin,
        remedy: 'Upload its values here first.',
      });
    }
    const storage = tensor.storageFor(this, origin) as S;
    this.#capturing?.use(tensor);
    return { shape: tensor.shape, dtype: tensor.dtype, range: tensor.range, storage };
  }

  #supportsCall<K extends OperationName>(operation: K, call: Calls<TensorSpec>[K]): Support {
    const kernel = kernelOf(operation);
    if (this.#driver.kernels[kernel] === undefined) return unsupported(`${this.name} has no ${operation}`);
    if (this.#driver.supports !== undefined) return this.#driver.supports(kernel, call as never);
    let support: Support = supported;
    mapTensors(call, (tensor, name) => {
      if (tensor.dtype !== this.precision && tensor.dtype !== 'int32') {
        support = unsupported(`${this.name} takes ${this.precision}, ${operation}.${name} is ${tensor.dtype}`);
      }
    });
    return support;
  }

  #target(spec: TensorSpec, options: UploadOptions): UploadTarget {
    checkOptions('upload', options, ['dtype', 'role']);
    const dtype = options.dtype ?? (spec.dtype === 'int32' ? 'int32' : this.precision);
    checkOneOf('upload.dtype', dtype, spec.dtype === 'int32' ? ['int32'] : FLOATS);
    if (options.role !== undefined) checkOneOf('upload.role', options.role, ['matrix']);
    return { dtype, role: options.role };
  }

  #supportsTarget(spec: TensorSpec, target: UploadTarget): Support {
    if (this.#driver.supportsUpload !== undefined) return this.#driver.supportsUpload(spec, target);
    if (target.dtype === this.precision || target.dtype === 'int32') return supported;
    return unsupported(`${this.name} stores ${this.precision}, not ${target.dtype}`);
  }

  #refusal(operation: string, reason: string): MambaError {
    return new MambaError('unsupported', `${this.name} cannot run ${operation}: ${reason}`, {
      origin: operation,
      remedy: 'Ask supports() first, or take another backend.',
    });
  }

  #checkAlive(): void {
    if (this.disposed)
      throw new MambaError('disposed', `the backend ${this.name} was disposed`, {
        origin: this.name,
        remedy: 'Create a new one.',
      });
  }
}

/** The driver's fused form of a block. Generic in the kind, since a kind's hook takes configs of that kind alone. */
function fusedBlock<S, K extends BlockKind>(
  driver: Driver<S>,
  context: FusionContext<S>,
  config: BlockConfig<K>,
  weights: BlockWeights<Tensor>,
  dModel: number,
): BlockKernel | undefined {
  const fuse = driver.blocks?.[config.kind as K];
  return fuse?.(context, config, weights, dModel);
}

const FLOATS: readonly DType[] = ['float32', 'float64', 'float16', 'bfloat16', 'q8', 'q4'];

/**
 * A copy of a call with every tensor mapped and everything else unchanged. A call is flat: it holds tensors, lists of
 * tensors, and plain values.
 */
function mapTensors<R>(call: object, map: (tensor: TensorSpec, name: string) => R): Record<string, unknown> {
  const mapped: Record<string, unknown> = { ...call };
  for (const name of Object.keys(mapped)) {
    const value = mapped[name];
    if (isSpec(value)) mapped[name] = map(value, name);
    else if (Array.isArray(value) && value.some(isSpec))
      mapped[name] = value.map((item, index) => map(item, `${name}[${index}]`));
  }
  return mapped;
}

function checkSignal(signal: AbortSignal | undefined): void {
  if (signal?.aborted)
    throw new MambaError('aborted', 'the upload was aborted', { origin: 'uploadRows', cause: signal.reason });
}
