/**
 * What users hold: a backend with checked operations. Operations take and return handles and never wait for the device;
 * only `read` and `synchronize` do, and what an asynchronous device reports late is thrown there.
 */
import type { Support } from './capability.ts';
import type { OperationName, Operations } from './operations.ts';
import type { DType, HostArray, HostRows, HostTensor, Precision, Tensor, TensorSpec } from './tensor.ts';

export interface UploadOptions {
  /** How to store it. Default: the backend's precision for floats, int32 for int32. */
  readonly dtype?: DType | undefined;
  /**
   * `matrix`: a weight of `linear`, which a backend may lay out for it. It reads back, and gathers, as any other
   * tensor.
   */
  readonly role?: 'matrix' | undefined;
}

export interface UploadRowsOptions extends UploadOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Facts for a report: adapter, build, versions, and what anyone may rely on by name. */
export interface BackendDetails {
  /** Threads that compute, where that is the backend's to say. */
  readonly threads?: number | undefined;
  /** A processor plays the device: correct, but its speed says nothing. */
  readonly software?: boolean | undefined;
  readonly [fact: string]: string | number | boolean | undefined;
}

export interface MemoryUse {
  /** Tensors alive. */
  readonly tensors: number;
  /** Bytes that live tensors occupy on the device, padding included. */
  readonly bytes: number;
  /** Bytes that the backend holds, its pools and scratch included. */
  readonly reserved: number;
  /** Bytes that all tensors together may occupy, where that is known: a device may not tell. */
  readonly limit?: number | undefined;
}

/** A call as `supports` asks it: an operation's own arguments, as specs or tensors. */
export type CallArguments<K extends OperationName> = Parameters<Operations<TensorSpec>[K]>;

export interface Backend extends Operations<Tensor> {
  /** `cpu`, `webgpu`, `reference`, … */
  readonly name: string;
  /** In words: `WebAssembly SIMD, 1 thread`. */
  readonly description: string;
  readonly details: BackendDetails;
  readonly precision: Precision;
  readonly disposed: boolean;

  /**
   * Copies host values to the device. Throws `invalid-argument`, `unsupported` (a dtype), and `out-of-memory` where
   * that is known at once; a device that learns of it later rejects the next `read` or `synchronize`, as it does for
   * operations.
   */
  upload(host: HostTensor, options?: UploadOptions): Tensor;
  /**
   * `upload` of a matrix that is read while it is copied: the same tensor, bit for bit. A backend that can has a few
   * rows of it in host memory at a time. Other calls may run meanwhile. Rejects as `upload` throws, and with `aborted`,
   * with `disposed` where the backend was disposed before the end, with `invalid-argument` where rows are not as they
   * were announced, and with what `rows` throws; nothing stays then.
   */
  uploadRows(host: HostRows, options?: UploadRowsOptions): Promise<Tensor>;
  /**
   * Waits for the device and copies values back. Rejects with `device-lost` or `device-error` where the work failed.
   */
  read(tensor: Tensor): Promise<HostArray>;
  /** Waits until all work handed over so far is done; rejects as `read` does. */
  synchronize(): Promise<void>;

  /**
   * Whether this very call would run, without running it. Arguments that no backend could take throw as the operation
   * would.
   */
  supports<K extends OperationName>(operation: K, ...args: CallArguments<K>): Support;
  supportsUpload(spec: TensorSpec, options?: UploadOptions): Support;

  memory(): MemoryUse;
  /** Frees everything, tensors that are still alive too. */
  dispose(): Promise<void>;
}

/**
 * A backend to be: what `selectBackend` takes. `create` rejects with `unavailable`, and the remedy, where it cannot
 * run.
 */
export interface BackendProvider {
  readonly name: string;
  create(): Promise<Backend>;
}
