/**
 * The backend that users hold, with checked operations. Operations take and return handles and never wait for the
 * device; only `read` and `synchronize` wait, and errors that an asynchronous device reports late are thrown there.
 */
import type { Support } from './capability.ts';
import type { CaptureFunction } from './capture.ts';
import type { OperationName, Operations } from './operations.ts';
import type { DType, HostArray, HostRows, HostTensor, Precision, Tensor, TensorSpec } from './tensor.ts';

/** How `upload` stores values. */
export interface UploadOptions {
  /** The dtype to store the values in. Default: the backend's precision for floats, int32 for int32. */
  readonly dtype?: DType | undefined;
  /**
   * `matrix` marks a weight of `linear`, which a backend may store in a layout of its own. `read` and `embedding` treat
   * it as any other tensor.
   */
  readonly role?: 'matrix' | undefined;
}

/** How `uploadRows` stores values, and how it is stopped. */
export interface UploadRowsOptions extends UploadOptions {
  /** Stops the upload between two pieces. */
  readonly signal?: AbortSignal | undefined;
}

/** Facts for a report: adapter, build, versions. The named properties mean the same for every backend. */
export interface BackendDetails {
  /** Number of threads that compute, where the backend controls it. */
  readonly threads?: number | undefined;
  /** True where a CPU emulates the GPU: the results are right, and the speed tells nothing of a GPU. */
  readonly software?: boolean | undefined;
  readonly [fact: string]: string | number | boolean | undefined;
}

/** The memory that a backend uses, in tensors and bytes. */
export interface MemoryUse {
  /** Number of live tensors. */
  readonly tensors: number;
  /** Bytes that live tensors occupy on the device, padding included. */
  readonly bytes: number;
  /** Bytes that the backend holds, including its pools and scratch memory. */
  readonly reserved: number;
  /** Bytes that all tensors together may occupy; absent where the device does not tell. */
  readonly limit?: number | undefined;
}

/** The arguments of an operation, as `supports` takes them: specs or tensors. */
export type CallArguments<K extends OperationName> = Parameters<Operations<TensorSpec>[K]>;

/** A device with the operations on its tensors. `BackendProvider.create` makes it, and `dispose` ends it. */
export interface Backend extends Operations<Tensor> {
  /** A short name: `cpu`, `webgpu`, `reference`, … */
  readonly name: string;
  /** A description in words: `WebAssembly SIMD, 1 thread`. */
  readonly description: string;
  /** Facts for reports. */
  readonly details: BackendDetails;
  /** The type that it computes in, and that activations and states have. */
  readonly precision: Precision;
  /** Whether `dispose` was called. */
  readonly disposed: boolean;

  /**
   * Copies host values to the device. Throws `invalid-argument`, `unsupported` (a dtype), and `out-of-memory` where
   * that is known at once. A device that runs out of memory later rejects the next `read` or `synchronize`, as it does
   * for operations.
   */
  upload(host: HostTensor, options?: UploadOptions): Tensor;
  /**
   * Uploads a matrix piece by piece, so that a few of its rows are in host memory at a time if the backend can do that.
   * The tensor equals that of `upload`, bit for bit. Other calls may run meanwhile. Rejects with the errors of
   * `upload`, with `aborted`, with `disposed` where the backend was disposed before the end, with `invalid-argument`
   * where rows differ from what was announced, and with any error that `rows` throws; the memory is freed then.
   */
  uploadRows(host: HostRows, options?: UploadRowsOptions): Promise<Tensor>;
  /**
   * Waits for the device and copies a tensor's values back. Rejects with `device-lost` or `device-error` where the work
   * failed.
   */
  read(tensor: Tensor): Promise<HostArray>;
  /** Waits until all operations called so far are done. Rejects as `read` does. */
  synchronize(): Promise<void>;

  /** Prepares a computation that is run many times. Absent where calls cost little beside their work. */
  readonly capture?: CaptureFunction | undefined;

  /**
   * Tells whether this call would run, without running it. Throws `invalid-argument`, as the operation would, on
   * arguments that no backend could take.
   */
  supports<K extends OperationName>(operation: K, ...args: CallArguments<K>): Support;
  /** Tells whether `upload` would store a tensor of this shape with these options, without doing it. */
  supportsUpload(spec: TensorSpec, options?: UploadOptions): Support;

  /** The memory in use at present. It does not wait for the device. */
  memory(): MemoryUse;
  /**
   * Runs `body`, which awaits nothing, and returns the most bytes that were in use at once meanwhile: live tensors, and
   * the scratch memory of operations where the backend counts it, as cpu and webgpu do. What `body` throws is passed
   * on.
   */
  peakBytes(body: () => void): number;
  /** Frees everything, including tensors that are still alive. */
  dispose(): Promise<void>;
}

/**
 * Creates a backend; `selectBackend` takes a list of providers. `create` rejects with `unavailable`, and the remedy,
 * where the backend cannot run.
 */
export interface BackendProvider {
  /** The name of the backend that it creates. */
  readonly name: string;
  /** Creates a backend. @throws MambaError `unavailable`, with the remedy, where it cannot run here. */
  create(): Promise<Backend>;
}
