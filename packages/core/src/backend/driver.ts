/**
 * The interface that the author of a backend implements. Core wraps a driver as a `Backend`, which checks shapes,
 * dtypes, options, ownership and disposal once, so that a kernel receives only valid calls that `supports` accepted.
 * `S` is the type that stands for device memory: an address, a GPUBuffer, a typed array.
 */
import type { BlockKernel, BlockWeights, LayerKernel } from '../blocks/contract.ts';
import type { BlockConfig, BlockKind } from '../blocks/kinds.ts';
import type { Backend, BackendDetails, MemoryUse } from '../contract/backend.ts';
import type { Support } from '../contract/capability.ts';
import type {
  ForwardOperationName,
  MixerOperationName,
  OperationName,
  TrainingOperationName,
} from '../contract/operations.ts';
import type { DType, HostArray, HostTensor, Precision, Tensor, TensorSpec } from '../contract/tensor.ts';
import type { ModelConfig, ModelKernel, ModelWeights } from '../model/contract.ts';
import type { SelectiveScanCall } from '../operations/selective-scan.ts';
import type { Calls, Results } from '../operations/table.ts';

/** A tensor as kernels have it: its spec, and what stands for its memory. */
export interface DeviceTensor<S> extends TensorSpec {
  /** What the driver has for the tensor's memory. */
  readonly storage: S;
}

/**
 * Computes one operation. A kernel allocates its results, in the shapes that the operation's file gives, and never
 * writes to its inputs, but for those of `UpdateOperations`. Results may not share memory with inputs. A kernel that
 * throws has freed what it allocated.
 */
export type Kernel<K extends OperationName, S> = (call: Calls<DeviceTensor<S>>[K]) => Results<S>[K];

/** `reshape` has no kernel, since that of `slice` computes it. */
export type Kernels<S> = { readonly [K in Exclude<ForwardOperationName, 'reshape'>]: Kernel<K, S> } & {
  readonly [K in MixerOperationName | TrainingOperationName]?: Kernel<K, S>;
};

/**
 * What the author of a backend writes; `createBackend` makes the backend of it. Members without "Optional" are needed.
 */
export interface Driver<S> {
  /** A short name: `cpu`, `webgpu`. */
  readonly name: string;
  /** In words, for reports: `WebAssembly SIMD, 1 thread`. */
  readonly description: string;
  /** Facts for reports. They are read once. */
  readonly details: BackendDetails;
  /** The type that kernels compute in. Activations, states and small parameters have it. */
  readonly precision: Precision;
  /** The kernels. An operation that may be missing and is missing counts as unsupported. */
  readonly kernels: Kernels<S>;

  /** Copies host values to new memory, in the target's dtype. Core has checked that the driver stores it. */
  upload(host: HostTensor, target: UploadTarget): S;
  /**
   * Optional. Begins the upload of a matrix of floats whose rows come later, and allocates its memory at once. Default,
   * and where it returns undefined for this target: core reads all rows and calls `upload`.
   */
  uploadRows?(spec: TensorSpec, target: UploadTarget): RowUpload<S> | undefined;
  /** Copies the values back. Waits for the device, and rejects with what it reports late. */
  read(tensor: DeviceTensor<S>): Promise<HostArray>;
  /** Gives memory back. Core calls it once for each storage. */
  free(storage: S): void;
  /** Waits until all that was sent to the device is done, and rejects with what it reports. */
  synchronize(): Promise<void>;
  /**
   * Optional. Calls `body` once, with a storage for each input, and notes the kernels that it calls in place of running
   * them. Their storages keep their places while the capture lives: `free` only lets later kernels of the same capture
   * have their memory, and does nothing once the capture is disposed or has failed. What is uploaded meanwhile is never
   * written to. Where `body` throws, everything is freed and the error goes on. Default: the backend has no `capture`.
   */
  capture?(inputs: readonly TensorSpec[], body: (inputs: readonly S[]) => void): CapturedKernels;

  /**
   * Optional. Whether a valid call can run. Default: every call whose kernel exists and whose floats have the dtype
   * `precision`.
   */
  supports?<K extends OperationName>(operation: K, call: Calls<TensorSpec>[K]): Support;
  /**
   * Optional. The steps from one kept state to the next, where `selectiveScan` returns `states` for this valid call and
   * `selectiveScanBackward` takes them; undefined where it keeps none. Its kernel then receives them as
   * `call.keptSteps`. Default: none.
   */
  keptSteps?(call: SelectiveScanCall<TensorSpec>): number | undefined;
  /** Optional. Whether `spec` can be stored with this dtype and role. Default: only in `precision` and int32. */
  supportsUpload?(spec: TensorSpec, target: UploadTarget): Support;
  /** The bytes in use, and those that are held; `limit` where the device tells how much there is. */
  memory(): Omit<MemoryUse, 'tensors'>;
  /**
   * Optional. Begins to count the most bytes that are in use at once, scratch memory included. The function that it
   * returns ends that and tells them. Default: core looks at `memory` after each result.
   */
  watchMemory?(): () => number;
  /** Frees all that is left. Core calls it once, and nothing after it. */
  dispose(): void | Promise<void>;

  /** Optional. Fused forms of blocks, by kind. Default, and where one returns undefined: core composes the block. */
  readonly blocks?: FusedBlocks<S>;
  /**
   * Optional. A fused form of a layer, for models that core walks through. Default, and where it returns undefined:
   * core runs the norm, the block and the sum one after another.
   */
  layer?(context: FusionContext<S>, source: LayerSource): LayerKernel | undefined;
  /**
   * Optional. Copies matrices of a group that the kind joins (`BlockDefinition.joined`) to memory where one kernel can
   * read them as one matrix. Each result is a matrix for itself as well, and freed by itself. Default, and where it
   * returns undefined: the matrices stay where they are.
   */
  join?(matrices: readonly DeviceTensor<S>[]): readonly S[] | undefined;
  /**
   * Optional. A fused form of a whole model. Default, and where it returns undefined (for a model with a kind of block
   * that it does not know, say): core runs the blocks one after another.
   */
  model?(context: FusionContext<S>, config: ModelConfig, weights: ModelWeights<Tensor>): ModelKernel | undefined;
}

/** For each kind of block, the function that makes its fused form. */
export type FusedBlocks<S> = { readonly [K in BlockKind]?: FuseBlock<S, K> };

/**
 * Makes a kind's fused form on its weights, which stay their creator's; undefined where core is to compose the block.
 */
export type FuseBlock<S, K extends BlockKind = BlockKind> = (
  context: FusionContext<S>,
  config: BlockConfig<K>,
  weights: BlockWeights<Tensor>,
  dModel: number,
) => BlockKernel | undefined;

/** What a layer is made of. The weights stay their creator's. */
export interface LayerSource {
  readonly config: BlockConfig;
  readonly weights: BlockWeights<Tensor>;
  readonly dModel: number;
  readonly norm: LayerNormSource;
}

/** The norm before a block: an RMS norm, or a LayerNorm with its bias. */
export interface LayerNormSource {
  readonly kind: 'rms' | 'layer';
  /** `[dModel]` */
  readonly weight: Tensor;
  /** `[dModel]`, of LayerNorm. */
  readonly bias: Tensor | undefined;
  readonly eps: number;
}

/** Kernels that a driver noted. */
export interface CapturedKernels {
  /** Bytes of all storages. */
  readonly bytes: number;
  /** Writes the inputs, which core has checked, and runs the kernels. Throws before it runs any. */
  replay(inputs: readonly HostTensor[]): void;
  /** Frees all storages. */
  dispose(): void;
}

/** How an upload is stored. The role `matrix` marks a weight of `linear`, which may have a layout of its own. */
export interface UploadTarget {
  readonly dtype: DType;
  readonly role: 'matrix' | undefined;
}

/**
 * The upload of a matrix in several writes; the result is the same as that of `upload`. Core awaits and checks the
 * rows, and other calls may run between two writes.
 */
export interface RowUpload<S> {
  /**
   * The storage of the matrix, which core owns from the start: core frees it with `free`, also if the remaining rows
   * never come. `write` may replace it by another storage.
   */
  readonly storage: S;
  /** Number of rows that core passes to each `write`; the last one may get fewer. */
  readonly rowsAtOnce: number;
  /** Copies the next rows before it returns. If it throws, core still frees `storage`. */
  write(rows: HostTensor): void;
}

/** Converts between handles and storage, for fused forms. */
export interface FusionContext<S> {
  /** The backend whose driver this is. */
  readonly backend: Backend;
  /** The storage of a live handle of this backend. Throws `disposed` or `foreign` for any other handle. */
  device(tensor: Tensor): DeviceTensor<S>;
  /** A handle that owns this storage. */
  tensor(storage: S, spec: TensorSpec): Tensor;
}
