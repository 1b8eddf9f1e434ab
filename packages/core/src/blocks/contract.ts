/**
 * A block maps `[batch, length, dModel]` to the same shape. It is one residual branch of a model; the norm before it
 * and the residual belong to the model. Blocks come in kinds. A kind declares its parameters and the state that it
 * keeps between calls, and models, backends, snapshots and checkpoints are generic over both.
 */
import type { Backend } from '../contract/backend.ts';
import type { Shape, Tensor } from '../contract/tensor.ts';
import type { BlockConfig } from './kinds.ts';

/** A parameter of a block. A matrix is `[outputs, inputs]`. */
export interface BlockParameter {
  /** The name within the block: `inProj`. */
  readonly key: string;
  /** A matrix is `[outputs, inputs]`. */
  readonly shape: Shape;
  /** Matrices may be stored in a smaller dtype; every other parameter has the backend's precision. */
  readonly role: 'matrix' | 'vector';
  /**
   * True where the config does not say whether the block has this parameter: `createBlock` then uses it if it is given.
   */
  readonly optional?: boolean | undefined;
  /** How the parameter is trained. Default: the defaults of `ParameterTraining`. */
  readonly training?: ParameterTraining | undefined;
}

/**
 * The first values of a parameter.
 * - `uniform`: uniform within ±bound.
 * - `normal`: normal numbers with mean 0.
 * - `ramp`: -1, -2, -3, … along the last axis (S4D-Real, arXiv 2206.11893).
 * - `steps`: the inverse softplus of steps that are log-uniform between two bounds (arXiv 2312.00752, section 3.6).
 * - a function: the value of the element with this index; `random` returns uniform numbers in [0, 1).
 */
export type InitialValues =
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'uniform'; readonly bound: number }
  | { readonly kind: 'normal'; readonly deviation: number }
  | { readonly kind: 'ramp' }
  | { readonly kind: 'steps'; readonly smallest: number; readonly largest: number }
  | ((index: number, random: () => number) => number);

/** How a parameter begins, and what an optimiser updates. */
export interface ParameterTraining {
  /**
   * `negative-exp`: the parameter is -exp(t), and t is what is trained (A_log of Mamba). Default: the parameter itself.
   */
  readonly form?: 'negative-exp' | undefined;
  /** Whether weight decay applies. Default: to matrices alone. */
  readonly decay?: boolean | undefined;
  /**
   * The first values. Default: a matrix is uniform within ±1 / √inputs, as PyTorch's linear layers are, and a vector is
   * 0.
   */
  readonly initial?: InitialValues | undefined;
  /**
   * Whether the matrix writes to the residual: its first values are divided by the root of the number of layers, so
   * that the residual does not grow with depth. Default false.
   */
  readonly residual?: boolean | undefined;
}

/**
 * One tensor of a block's state, `[batch, …shape]`. An extent `length` grows by one for each token: row r of the batch
 * holds its last `min(positions[r], window)` tokens from index 0, oldest first, and the values after them are
 * undefined. The tensor is absent while no row holds a token. A kind that appends by `appendRows` may return tensors
 * with room at their end, and with a window with some older tokens at their beginning.
 */
export interface StateSlot {
  /** The name within the block: `conv`, `ssm`. */
  readonly name: string;
  /** The shape without the batch. */
  readonly shape: readonly (number | 'length')[];
  /** Largest number of tokens that an extent `length` holds. Default: no limit. */
  readonly window?: number | undefined;
}

/** The state of a block: a tensor for each slot, by name. */
export type BlockState = Readonly<Record<string, Tensor>>;

/** The weights of a block by key. Those that the config leaves out are absent. */
export type BlockWeights<T> = Readonly<Record<string, T | undefined>>;

/** A call of a block, whose arguments are checked. */
export interface BlockCall {
  /** `[batch, length, dModel]` */
  readonly x: Tensor;
  /** The state before the call, zero if absent. Kernels never write to it. */
  readonly state: BlockState | undefined;
  /** Number of tokens fed before this call, for each row of the batch. */
  readonly positions: readonly number[];
  /** int32 `[batch, length]`. A value other than 0 begins a new sequence at its token. */
  readonly resets: Tensor | undefined;
  readonly batch: number;
  readonly length: number;
}

/** The results of a block, which belong to the caller. */
export interface BlockResult<State extends BlockState = BlockState> {
  /** `[batch, length, dModel]` */
  readonly y: Tensor;
  /** The state after the last token. */
  readonly state: State;
}

/** What kernels of blocks and of layers keep of the weights, which belong to their creator. */
export interface WeightsKeeper {
  /** Optional. Called after weights were written to in place: copies that the kernel made of them are out of date. */
  weightsChanged?(): void;
  /** Optional. Frees what the kernel allocated. The weights stay alive. */
  dispose?(): void;
}

/** Computes a block, composed of operations or as a backend's fused form. */
export interface BlockKernel extends WeightsKeeper {
  /** Computes the block. It leaves x and the state as they were, and frees what it made where it throws. */
  forward(call: BlockCall): BlockResult;
}

/** A call of a layer, whose arguments are checked: of a block with the norm before it and the residual. */
export interface LayerCall extends Omit<BlockCall, 'x'> {
  /** `[batch, length, dModel]`: what the block's output is added to. */
  readonly residual: Tensor;
  /** What the norm takes: the residual, or for parallel blocks the residual before the first of them. */
  readonly read: Tensor;
  /** Whether nobody else needs the values of `residual`, so that the kernel may add to them in place. */
  readonly donated: boolean;
}

/** The results of a layer. */
export interface LayerResult {
  /** `residual + block(norm(read))`, which belongs to the caller. It is the residual itself where that was added to. */
  readonly residual: Tensor;
  /** The state after the last token, which belongs to the caller. */
  readonly state: BlockState;
}

/** Computes a layer. */
export interface LayerKernel extends WeightsKeeper {
  /** Computes the layer. It leaves the state as it was, and frees what it made where it throws. */
  forward(call: LayerCall): LayerResult;
}

/** The definition of a kind. `defineBlock` registers it under a name. */
export interface BlockDefinition<Config = BlockConfig> {
  /** Optional. Values that a model takes for options that its config leaves out. Default: none. */
  readonly defaults?: Partial<Config> | undefined;
  /**
   * Refuses sizes and options that contradict each other, and options that the kind does not know.
   * @throws MambaError `invalid-argument`, whose origin begins with `origin`.
   */
  check(origin: string, config: Config, dModel: number): void;
  /**
   * Every parameter that the config calls for, in loading order. Shapes are derived from a config here and nowhere
   * else.
   */
  parameters(config: Config, dModel: number): readonly BlockParameter[];
  /**
   * Optional. Groups of matrices, by key, that are multiplied by the same input. A backend may store a group as one
   * matrix. Default: none.
   */
  readonly joined?: readonly (readonly string[])[] | undefined;
  /** The slots of the block's state; none for a kind that works on each token by itself. */
  state(config: Config, dModel: number): readonly StateSlot[];
  /** The block composed of the backend's operations. The conformance suite holds every fused form to its results. */
  compose(backend: Backend, config: Config, weights: BlockWeights<Tensor>): BlockKernel;
}
