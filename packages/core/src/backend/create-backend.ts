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
import { invalid, MambaError } from '../contract/errors.ts';
import type {
  CausalConv1dOptions,
  ChoiceOptions,
  LayerNormOptions,
  MultiplyOptions,
  OperationName,
  RmsNormOptions,
  SampleOptions,
  ScanCotangents,
  SelectiveScanOptions,
} from '../contract/operations.ts';
import {
  type DType,
  type HostArray,
  type HostRows,
  type HostTensor,
  type IntegerRange,
  type Precision,
  sameShape,
  sizeOf,
  type Tensor,
  type TensorSpec,
} from '../contract/tensor.ts';
import { resolveAdd } from '../operations/add.ts';
import { resolveArgmax } from '../operations/argmax.ts';
import { resolveCausalConv1d, resolveCausalConv1dBackward } from '../operations/causal-conv1d.ts';
import { checkOneOf, checkOptions, checkShape, describe } from '../operations/check.ts';
import { resolveConcat } from '../operations/concat.ts';
import { resolveEmbedding } from '../operations/embedding.ts';
import type { Calls, Results } from '../operations/index.ts';
import { resolveLayerNorm } from '../operations/layer-norm.ts';
import { resolveLinear } from '../operations/linear.ts';
import { resolveLogProb } from '../operations/log-prob.ts';
import { resolveMultiply } from '../operations/multiply.ts';
import { resolveRmsNorm } from '../operations/rms-norm.ts';
import { resolveSample } from '../operations/sample.ts';
import { resolveSelectiveScan, resolveSelectiveScanBackward } from '../operations/selective-scan.ts';
import { resolveSlice } from '../operations/slice.ts';
import type { DeviceTensor, Driver, FusionContext, Kernel, RowUpload, UploadTarget } from './driver.ts';
import { registerFusion } from './fusion.ts';
import { TensorHandle, type TensorOwner } from './handle.ts';

/** Makes a driver into a backend: every argument is checked here, once, before a kernel sees it. */
export function createBackend<S>(driver: Driver<S>): Backend {
  return new CheckedBackend(driver);
}

type Resolved<K extends OperationName, T extends TensorSpec> = {
  readonly call: Calls<T>[K];
  readonly outputs: Results<TensorSpec>[K];
};

/** Arguments → resolved call, for each operation; the operation's own file says what is checked. */
type Resolvers = { [K in OperationName]: (precision: Precision, ...args: CallArguments<K>) => Resolved<K, TensorSpec> };

const resolvers: Resolvers = {
  selectiveScan: (_, ...args) => resolveSelectiveScan(...args),
  causalConv1d: (_, x, weight, bias, options) => resolveCausalConv1d(x, weight, bias, options),
  linear: (_, x, weight, bias) => resolveLinear(x, weight, bias),
  rmsNorm: (_, ...args) => resolveRmsNorm(...args),
  layerNorm: (_, ...args) => resolveLayerNorm(...args),
  embedding: (precision, table, ids) => resolveEmbedding(table, ids, precision),
  add: (_, ...args) => resolveAdd(...args),
  multiply: (_, ...args) => resolveMultiply(...args),
  slice: (_, ...args) => resolveSlice(...args),
  concat: (_, ...args) => resolveConcat(...args),
  argmax: (_, ...args) => resolveArgmax(...args),
  sample: (_, ...args) => resolveSample(...args),
  logProb: (_, ...args) => resolveLogProb(...args),
  selectiveScanBackward: (_, ...args) => resolveSelectiveScanBackward(...args),
  causalConv1dBackward: (_, ...args) => resolveCausalConv1dBackward(...args),
};

class CheckedBackend<S> implements Backend, TensorOwner<S> {
  readonly name: string;
  readonly description: string;
  readonly details: BackendDetails;
  readonly precision: Precision;
  readonly #driver: Driver<S>;
  readonly #live = new Set<TensorHandle<S>>();
  /** Uploads whose rows are awaited. */
  readonly #filling = new Set<RowUpload<S>>();
  #disposal: Promise<void> | undefined;

  constructor(driver: Driver<S>) {
    this.#driver = driver;
    this.name = driver.name;
    this.description = driver.description;
    this.details = driver.details;
    this.precision = driver.precision;
    const context: FusionContext<S> = {
      backend: this,
      device: (tensor) => this.#device('a fused operation', tensor),
      tensor: (storage, spec) => this.#adopt(storage, spec),
    };
    registerFusion(this, {
      block: (config, weights, dModel) => fusedBlock(driver, context, config, weights, dModel),
      model: (config, weights) => driver.model?.(context, config, weights),
    });
  }

  selectiveScan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, options?: SelectiveScanOptions<Tensor>) {
    return this.#run('selectiveScan', u, delta, A, B, C, options);
  }
  causalConv1d(x: Tensor, weight: Tensor, bias?: Tensor, options?: CausalConv1dOptions<Tensor>) {
    return this.#run('causalConv1d', x, weight, bias, options);
  }
  linear(x: Tensor, weight: Tensor, bias?: Tensor) {
    return this.#run('linear', x, weight, bias);
  }
  rmsNorm(x: Tensor, options?: RmsNormOptions<Tensor>) {
    return this.#run('rmsNorm', x, options);
  }
  layerNorm(x: Tensor, options?: LayerNormOptions<Tensor>) {
    return this.#run('layerNorm', x, options);
  }
  embedding(table: Tensor, ids: Tensor) {
    return this.#run('embedding', table, ids);
  }
  add(a: Tensor, b: Tensor) {
    return this.#run('add', a, b);
  }
  multiply(a: Tensor, b?: Tensor, options?: MultiplyOptions) {
    return this.#run('multiply', a, b, options);
  }
  slice(x: Tensor, axis: number, start: number, end: number) {
    return this.#run('slice', x, axis, start, end);
  }
  concat(tensors: readonly Tensor[], axis: number) {
    return this.#run('concat', tensors, axis);
  }
  argmax(logits: Tensor, options?: ChoiceOptions) {
    return this.#run('argmax', logits, options);
  }
  sample(logits: Tensor, uniform: Tensor, options?: SampleOptions & ChoiceOptions) {
    return this.#run('sample', logits, uniform, options);
  }
  logProb(logits: Tensor, ids: Tensor) {
    return this.#run('logProb', logits, ids);
  }
  selectiveScanBackward(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    options: SelectiveScanOptions<Tensor>,
    cotangents: ScanCotangents<Tensor>,
  ) {
    return this.#run('selectiveScanBackward', u, delta, A, B, C, options, cotangents);
  }
  causalConv1dBackward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | undefined,
    options: CausalConv1dOptions<Tensor>,
    cotangents: ScanCotangents<Tensor>,
  ) {
    return this.#run('causalConv1dBackward', x, weight, bias, options, cotangents);
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
    checkHostRows(host);
    checkOptions('uploadRows', options, ['dtype', 'role', 'signal']);
    const { signal, ...how } = options;
    const spec = { dtype: host.dtype, shape: [...host.shape] };
    const [rows, columns] = spec.shape as [number, number];
    const target = this.#target(spec, how);
    const support = this.#supportsTarget(spec, target);
    if (!support.supported) throw this.#refusal('uploadRows', support.reason);
    // Looked at right after the wait, with no other between it and what is done with the rows.
    const checked = (given: HostTensor, first: number, count: number): HostTensor => {
      checkSignal(signal);
      this.#checkAlive();
      checkRows(given, { dtype: spec.dtype, shape: [count, columns] }, first);
      return given;
    };
    checkSignal(signal);
    const upload = this.#driver.uploadRows?.(spec, target);
    if (upload === undefined) return this.upload(checked(await host.rows(0, rows), 0, rows), how);
    this.#filling.add(upload);
    try {
      const { rowsAtOnce } = upload;
      for (let first = 0; first < rows; first += rowsAtOnce) {
        const count = Math.min(rowsAtOnce, rows - first);
        upload.write(checked(await host.rows(first, count), first, count));
      }
    } catch (error) {
      // Where the backend was disposed, it has freed it.
      if (this.#filling.delete(upload)) this.#driver.free(upload.storage);
      throw error;
    }
    this.#filling.delete(upload);
    return this.#adopt(upload.storage, { shape: spec.shape, dtype: target.dtype });
  }

  async read(tensor: Tensor): Promise<HostArray> {
    this.#checkAlive();
    return this.#driver.read(this.#device('read', tensor));
  }

  async synchronize(): Promise<void> {
    this.#checkAlive();
    await this.#driver.synchronize();
  }

  supports<K extends OperationName>(operation: K, ...args: CallArguments<K>): Support {
    this.#checkAlive();
    checkOneOf('supports', operation, Object.keys(resolvers));
    const { call } = resolvers[operation](this.precision, ...args);
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

  get disposed(): boolean {
    return this.#disposal !== undefined;
  }

  dispose(): Promise<void> {
    if (this.#disposal === undefined) {
      for (const tensor of this.#live) tensor.dispose();
      for (const { storage } of this.#filling) this.#driver.free(storage);
      this.#filling.clear();
      this.#disposal = Promise.resolve(this.#driver.dispose());
    }
    return this.#disposal;
  }

  release(tensor: TensorHandle<S>, storage: S): void {
    this.#live.delete(tensor);
    if (!this.disposed) this.#driver.free(storage);
  }

  #run<K extends OperationName>(operation: K, ...args: Parameters<Backend[K]>): Results<Tensor>[K] {
    this.#checkAlive();
    // Handles are specs, and resolvers keep what they are given, so the call holds the caller's handles.
    const { call, outputs } = resolvers[operation](this.precision, ...(args as CallArguments<K>)) as Resolved<
      K,
      TensorSpec
    >;
    const onDevice = mapTensors(call, (tensor, name) =>
      this.#device(`${operation}.${name}`, tensor),
    ) as unknown as Calls<DeviceTensor<S>>[K];
    const support = this.#supportsCall(operation, call);
    if (!support.supported) throw this.#refusal(operation, support.reason);
    const kernel = this.#driver.kernels[operation] as unknown as Kernel<K, S>;
    return this.#wrap(kernel(onDevice), outputs) as Results<Tensor>[K];
  }

  /** Storage, or an object of storages, to handles by the outputs' specs. */
  #wrap(result: unknown, outputs: object): Tensor | Record<string, Tensor> {
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
    const tensor = new TensorHandle(this, storage, spec);
    this.#live.add(tensor);
    return tensor;
  }

  #device(origin: string, tensor: TensorSpec): DeviceTensor<S> {
    if (!(tensor instanceof TensorHandle)) {
      throw new MambaError('foreign', `${origin} is not a tensor of this backend`, {
        origin,
        remedy: 'Upload its values here first.',
      });
    }
    return { shape: tensor.shape, dtype: tensor.dtype, range: tensor.range, storage: tensor.storageFor(this, origin) };
  }

  #supportsCall<K extends OperationName>(operation: K, call: Calls<TensorSpec>[K]): Support {
    if (this.#driver.kernels[operation] === undefined) return unsupported(`${this.name} has no ${operation}`);
    if (this.#driver.supports !== undefined) return this.#driver.supports(operation, call);
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

/** A kind's own hook takes the config of that kind, which the union cannot say. */
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
 * The values of a call that are tensors, mapped; everything else stays. A call is flat: tensors, lists of tensors, and
 * plain values.
 */
function mapTensors<R>(call: object, map: (tensor: TensorSpec, name: string) => R): Record<string, unknown> {
  const mapped: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(call)) {
    if (isSpec(value)) mapped[name] = map(value, name);
    else if (Array.isArray(value) && value.some(isSpec))
      mapped[name] = value.map((item, index) => map(item, `${name}[${index}]`));
    else mapped[name] = value;
  }
  return mapped;
}

function isSpec(value: unknown): value is TensorSpec {
  return typeof value === 'object' && value !== null && 'shape' in value && 'dtype' in value;
}

const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int32: Int32Array,
} as const;

function checkHost(origin: string, host: HostTensor): void {
  if (!isSpec(host)) throw invalid(origin, String(host), '{ dtype, shape, data }');
  checkOneOf(`${origin}.dtype`, host.dtype, Object.keys(ARRAYS));
  checkShape(`${origin}.shape`, host.shape);
  const expected = ARRAYS[host.dtype];
  if (!(host.data instanceof expected))
    throw invalid(`${origin}.data`, Object.prototype.toString.call(host.data), `a ${expected.name} for ${host.dtype}`);
  if (host.data.length !== sizeOf(host.shape))
    throw invalid(`${origin}.data`, `${host.data.length} values for ${describe(host)}`, `${sizeOf(host.shape)} values`);
}

function checkHostRows(host: HostRows): void {
  if (!isSpec(host) || typeof host.rows !== 'function')
    throw invalid('uploadRows', String(host), '{ dtype, shape, rows }');
  checkOneOf('uploadRows.dtype', host.dtype, [
    'float32',
    'float64',
    'float16',
    'bfloat16',
  ] satisfies HostRows['dtype'][]);
  checkShape('uploadRows.shape', host.shape);
  if (host.shape.length !== 2) throw invalid('uploadRows.shape', describe(host), 'a matrix [rows, columns]');
}

function checkRows(given: HostTensor, expected: TensorSpec, first: number): void {
  checkHost('uploadRows.rows', given);
  if (given.dtype !== expected.dtype || !sameShape(given.shape, expected.shape))
    throw invalid('uploadRows.rows', describe(given), `${describe(expected)}, the rows from ${first} on`);
}

function checkSignal(signal: AbortSignal | undefined): void {
  if (signal?.aborted)
    throw new MambaError('aborted', 'the upload was aborted', { origin: 'uploadRows', cause: signal.reason });
}

function rangeOf(values: Int32Array): IntegerRange {
  let min = values[0]!;
  let max = min;
  for (const value of values) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { min, max };
}
