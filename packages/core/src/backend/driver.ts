/**
 * What the author of a backend implements. Core wraps a driver into a `Backend`: shapes, dtypes, options, ownership and
 * disposal are checked there, once, so that a kernel receives only calls that are valid and that its `supports` agreed
 * to. `S` is whatever stands for memory: an address, a GPUBuffer, a typed array.
 */
import type { BlockKernel, BlockWeights } from '../blocks/contract.ts';
import type { BlockConfig, BlockKind } from '../blocks/kinds.ts';
import type { Backend, BackendDetails, MemoryUse } from '../contract/backend.ts';
import type { Support } from '../contract/capability.ts';
import type { BackwardOperationName, ForwardOperationName, OperationName } from '../contract/operations.ts';
import type { DType, HostArray, HostTensor, Precision, Tensor, TensorSpec } from '../contract/tensor.ts';
import type { ModelConfig, ModelKernel, ModelWeights } from '../model/contract.ts';
import type { Calls, Results } from '../operations/table.ts';

export interface DeviceTensor<S> extends TensorSpec {
  readonly storage: S;
}

/**
 * A kernel allocates its results and returns them in the shapes that the operation fixes. It never writes to its
 * inputs, and where it throws it has freed what it allocated. Results may not share memory with inputs.
 */
export type Kernel<K extends OperationName, S> = (call: Calls<DeviceTensor<S>>[K]) => Results<S>[K];

export type Kernels<S> = { readonly [K in ForwardOperationName]: Kernel<K, S> } & {
  readonly [K in BackwardOperationName]?: Kernel<K, S>;
};

export interface Driver<S> {
  readonly name: string;
  readonly description: string;
  readonly details: BackendDetails;
  readonly precision: Precision;
  readonly kernels: Kernels<S>;

  upload(host: HostTensor, target: UploadTarget): S;
  /**
   * `upload` of a matrix of floats whose rows come later; allocates at once. Undefined, or returning undefined for this
   * target, means that core reads all rows and calls `upload`.
   */
  uploadRows?(spec: TensorSpec, target: UploadTarget): RowUpload<S> | undefined;
  read(tensor: DeviceTensor<S>): Promise<HostArray>;
  free(storage: S): void;
  synchronize(): Promise<void>;

  /** Whether a valid call can run; absent means all whose kernel exists and whose floats are of `precision`. */
  supports?<K extends OperationName>(operation: K, call: Calls<TensorSpec>[K]): Support;
  /** Whether `spec` can be stored so; absent means only `precision` and int32. */
  supportsUpload?(spec: TensorSpec, target: UploadTarget): Support;
  memory(): Omit<MemoryUse, 'tensors'>;
  dispose(): void | Promise<void>;

  /** Optional. Fused forms of blocks, by kind. Default, and where one returns undefined: the composition. */
  readonly blocks?: FusedBlocks<S>;
  /**
   * Optional. A fused form of a whole model. Default, and where it returns undefined, as for a mixture with a kind that
   * it does not know: core walks over the blocks.
   */
  model?(context: FusionContext<S>, config: ModelConfig, weights: ModelWeights<Tensor>): ModelKernel | undefined;
}

export type FusedBlocks<S> = { readonly [K in BlockKind]?: FuseBlock<S, K> };

export type FuseBlock<S, K extends BlockKind = BlockKind> = (
  context: FusionContext<S>,
  config: BlockConfig<K>,
  weights: BlockWeights<Tensor>,
  dModel: number,
) => BlockKernel | undefined;

export interface UploadTarget {
  readonly dtype: DType;
  readonly role: 'matrix' | undefined;
}

/**
 * A matrix that is being filled, to what `upload` would make of it. Core waits for the rows and checks them; other
 * calls run in between.
 */
export interface RowUpload<S> {
  /**
   * Core's from the start: it is freed with `free`, also where the other rows never come. `write` may exchange it for
   * another.
   */
  readonly storage: S;
  /** Rows of every `write` but the last one. */
  readonly rowsAtOnce: number;
  /** The next rows, which are copied before it returns. Where it throws, `storage` is still to be freed. */
  write(rows: HostTensor): void;
}

/** How a fused form goes between handles and storage. */
export interface FusionContext<S> {
  readonly backend: Backend;
  /** The storage of a live handle of this backend; throws `disposed` or `foreign` otherwise. */
  device(tensor: Tensor): DeviceTensor<S>;
  /** A handle that owns this storage. */
  tensor(storage: S, spec: TensorSpec): Tensor;
}
