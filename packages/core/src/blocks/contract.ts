/**
 * A block is `[batch, length, dModel]` → the same: one residual branch of a model, without its norm and residual, which
 * are the model's. Blocks come in kinds. A kind declares its parameters and what it remembers between calls; models,
 * backends, snapshots and checkpoints are generic over both.
 */
import type { Backend } from '../contract/backend.ts';
import type { Shape, Tensor } from '../contract/tensor.ts';
import type { BlockConfig } from './kinds.ts';

/** A parameter of a block: `[outputs, inputs]` for a matrix. */
export interface BlockParameter {
  /** Its name within the block: `inProj`. */
  readonly key: string;
  readonly shape: Shape;
  /** Matrices may be stored in a smaller dtype; everything else stays in the backend's precision. */
  readonly role: 'matrix' | 'vector';
  /** The config leaves it open whether the block has it: a block by itself takes it where it is given. */
  readonly optional?: boolean | undefined;
}

/**
 * One tensor that a block remembers, `[batch, …shape]`. An extent `length` grows by a row a token: row r of the batch
 * holds its last `min(positions[r], window)` tokens, oldest first, from index 0; what follows them means nothing. Where
 * no row holds a token the tensor is absent.
 */
export interface StateSlot {
  readonly name: string;
  readonly shape: readonly (number | 'length')[];
  /** Most tokens that an extent `length` holds. Absent: all. */
  readonly window?: number | undefined;
}

/** A block's state by the names of its slots. */
export type BlockState = Readonly<Record<string, Tensor>>;

/** A block's weights by key; those that its config leaves out are absent. */
export type BlockWeights<T> = Readonly<Record<string, T | undefined>>;

export interface BlockCall {
  /** `[batch, length, dModel]` */
  readonly x: Tensor;
  /** Zero if absent. Never written to. */
  readonly state: BlockState | undefined;
  /** Tokens fed before this call, of each row of the batch. */
  readonly positions: readonly number[];
  /** int32 `[batch, length]`; where not 0 a new sequence begins. */
  readonly resets: Tensor | undefined;
  readonly batch: number;
  readonly length: number;
}

export interface BlockResult<State extends BlockState = BlockState> {
  /** `[batch, length, dModel]` */
  readonly y: Tensor;
  readonly state: State;
}

/** A block as it is computed: composed of operations, or a backend's fused form. Weights belong to whoever made it. */
export interface BlockKernel {
  forward(call: BlockCall): BlockResult;
  /** Optional. Weights were written to in place: whatever the kernel keeps that was made of them is stale. */
  weightsChanged?(): void;
  /** Optional. Frees what the kernel made beside the weights. */
  dispose?(): void;
}

/** What a kind is. `defineBlock` makes it known under its name. */
export interface BlockDefinition<Config = BlockConfig> {
  /** Optional. Options that a config may leave out, as a model takes them then. Default: none. */
  readonly defaults?: Partial<Config> | undefined;
  /**
   * Refuses sizes and options that contradict, and options that the kind does not know.
   * @throws MambaError `invalid-argument`, whose origin begins with `origin`.
   */
  check(origin: string, config: Config, dModel: number): void;
  /** Every parameter that the config calls for, in loading order. The only place where shapes follow from a config. */
  parameters(config: Config, dModel: number): readonly BlockParameter[];
  /** What the block remembers between calls; empty for a kind that works on each token by itself. */
  state(config: Config, dModel: number): readonly StateSlot[];
  /** The block out of the backend's operations: what every fused form is held to. */
  compose(backend: Backend, config: Config, weights: BlockWeights<Tensor>): BlockKernel;
}
