/**
 * A language model: embedding → blocks, each `residual + block(norm(residual))` → final norm → head. The residual stays
 * in the backend's precision. The config lists the blocks in order. Parallel blocks read the same residual.
 */
import type { BlockWeights, ParameterTraining } from '../blocks/contract.ts';
import type { BlockConfig, BlockKind } from '../blocks/kinds.ts';
import type { MambaConfig } from '../blocks/mamba/config.ts';
import type { HostRows, HostTensor, Shape, Tensor } from '../contract/tensor.ts';

/** The sizes and options of a model. It is plain data, and is kept as JSON. */
export interface ModelConfig {
  /** The width of the residual: channels of a token between layers. */
  readonly dModel: number;
  /** Number of rows of the embedding and of the head. */
  readonly vocabSize: number;
  /** Added to the mean square, or the variance, in every norm of the model. */
  readonly normEps: number;
  /** Whether the head is the embedding. */
  readonly tiedHead: boolean;
  /** The layers, from the embedding to the head. */
  readonly blocks: readonly BlockConfig[];
  /**
   * The norm before each block and before the head: RMS with a weight, or LayerNorm with weight and bias. Default
   * `rms`.
   */
  readonly norm?: 'rms' | 'layer' | undefined;
  /** Factors that the model applies. Default 1 each. */
  readonly multipliers?: Multipliers | undefined;
  /**
   * Number of rows of a learned table of positions, which is added to the embedding (GPT-2). Default: no such table.
   */
  readonly positions?: number | undefined;
  /**
   * Number of neighbouring blocks that are branches of one sum: each has its own norm, and all read the residual as it
   * was before the first of them (2 in GPT-NeoX: attention beside an MLP). Default 1: one block after another.
   */
  readonly parallel?: number | undefined;
}

/** Constant factors of a model, 1 where they are absent. */
export interface Multipliers {
  /** The rows of the embedding are multiplied by this. */
  readonly embedding?: number | undefined;
  /** The output of each block is multiplied by this before it is added to the residual. */
  readonly residual?: number | undefined;
  /** The logits are multiplied by this. */
  readonly logits?: number | undefined;
}

/** A model whose layers are Mamba blocks of equal sizes, as one flat object. Accepted wherever a config is. */
export interface UniformMambaConfig extends MambaConfig, Omit<ModelConfig, 'blocks'> {
  readonly kind?: 'mamba' | undefined;
  /** Number of layers. */
  readonly layers: number;
}

/** The weights of one layer: of its norm and of its block. */
export interface LayerWeights<T> {
  /** `[dModel]` */
  readonly norm: T;
  /** `[dModel]`, of LayerNorm. */
  readonly normBias?: T | undefined;
  readonly block: BlockWeights<T>;
}

/** All weights of a model. */
export interface ModelWeights<T> {
  /** `[vocabSize, dModel]` */
  readonly embedding: T;
  /** `[positions, dModel]` */
  readonly positions?: T | undefined;
  /** From the embedding to the head. */
  readonly layers: readonly LayerWeights<T>[];
  /** `[dModel]` */
  readonly finalNorm: T;
  /** `[dModel]`, of LayerNorm. */
  readonly finalNormBias?: T | undefined;
  /** `[vocabSize, dModel]`; the same tensor as the embedding where the head is tied. */
  readonly head: T;
}

/** One parameter of a model, as a source is asked for it: `layers.3.block.inProj`. */
export interface ParameterSpec {
  /** The name in the model, with the layer: `layers.3.block.inProj`. */
  readonly name: string;
  /** The index of the layer; undefined for a parameter outside the layers. */
  readonly layer: number | undefined;
  /** The kind of the layer's block; undefined for a parameter outside the layers. */
  readonly kind: BlockKind | undefined;
  /** The name without its layer: `embedding`, `norm`, `block.inProj`. */
  readonly key: ParameterKey;
  /** A matrix is `[outputs, inputs]`. */
  readonly shape: Shape;
  /** Matrices may be stored in a smaller dtype; every other parameter has the backend's precision. */
  readonly role: 'matrix' | 'vector';
  /** How the parameter is trained. Default: the defaults of `ParameterTraining`. */
  readonly training?: ParameterTraining | undefined;
}

/** The name of a parameter without its layer. */
export type ParameterKey =
  | 'embedding'
  | 'positions'
  | 'finalNorm'
  | 'finalNormBias'
  | 'head'
  | 'norm'
  | 'normBias'
  | `block.${string}`;

/** A parameter as a model holds it. Its handle can be read; it belongs to the model and ends with it. */
export interface ModelParameter extends ParameterSpec {
  readonly tensor: Tensor;
}

/**
 * Returns the values of a parameter. It is called once for each parameter, in order, so that one tensor at a time is in
 * host memory.
 */
export interface ParameterSource {
  (parameter: ParameterSpec): HostTensor | Promise<HostTensor>;
  /**
   * Optional. The values of a matrix, to be read some rows at a time. `createModel` calls this first, and reads the
   * whole matrix where it is absent or returns undefined.
   */
  rows?(parameter: ParameterSpec): HostRows | undefined | Promise<HostRows | undefined>;
}

/** The positions that logits are computed for. */
export type LogitsRequest = 'all' | 'last' | 'none';

/** The state of a model as a kernel keeps it; opaque to everything else. */
export interface KernelState {
  readonly batch: number;
  /** Bytes of device memory. */
  readonly bytes: number;
  /** Frees the memory of the state. */
  dispose(): void;
}

/** The state of one layer on the host: values by slot, each `[batch, …]`. A slot that holds nothing yet is absent. */
export type LayerSnapshot = Readonly<Record<string, Float32Array | Float64Array>>;

/** A call of a model, whose arguments are checked. */
export interface ModelCall {
  /** int32 `[batch, length]`: ids of the vocabulary. */
  readonly ids: Tensor;
  /** The state before this call; zero if absent. */
  readonly state: KernelState | undefined;
  /**
   * The caller gives the state away: the kernel disposes it or reuses its memory before it returns, and leaves it
   * unchanged if it throws. The kernel never writes to a state that is not donated.
   */
  readonly donated: boolean;
  /** Tokens fed before this call, of each row. */
  readonly positions: readonly number[];
  /** int32 `[batch, length]`. A value other than 0 begins a new sequence at its token. */
  readonly resets: Tensor | undefined;
  readonly logits: LogitsRequest;
  /** Whether the outcome has hidden states. */
  readonly hiddenStates: boolean;
  readonly batch: number;
  readonly length: number;
}

/** The results of a call of a model, which belong to the caller. */
export interface ModelOutcome {
  /** `[batch, length, vocab]`, `[batch, 1, vocab]` for `last`, absent for `none`. */
  readonly logits: Tensor | undefined;
  /** The state after the last token. */
  readonly state: KernelState;
  /**
   * The embedding and the output of each layer, each `[batch, length, dModel]`; the last one is after the final norm.
   */
  readonly hiddenStates: readonly Tensor[] | undefined;
}

/** A call that generates tokens, whose arguments are checked. */
export interface DecodeCall {
  /** int32 `[batch, 1]`: the tokens to feed first. */
  readonly ids: Tensor;
  readonly state: KernelState | undefined;
  readonly donated: boolean;
  /** Tokens fed before this call, of each row. */
  readonly positions: readonly number[];
  /** Tokens to generate. */
  readonly count: number;
  /** Undefined means argmax. */
  readonly sampling:
    | {
        readonly temperature: number;
        readonly topK: number;
        readonly topP: number;
        readonly minP: number /** `[batch, count]` */;
        readonly uniform: Tensor;
      }
    | undefined;
  readonly batch: number;
}

/** The results of a call that generates tokens, which belong to the caller. */
export interface DecodeOutcome {
  /** int32 `[batch, count]`, as a checked `argmax` or `sample` chooses them: -1 where no token can be chosen. */
  readonly ids: Tensor;
  /** The state after all tokens that were fed; the last generated one was not. */
  readonly state: KernelState;
}

/** Computes a model: core's composition, or the fused form of a driver. It receives checked arguments. */
export interface ModelKernel {
  /** Feeds tokens, and returns the state after them with what was asked for. */
  forward(call: ModelCall): ModelOutcome;
  /**
   * Optional. Generates tokens without waiting for the device. Default: a loop of `forward` and `argmax` or `sample`.
   */
  decode?(call: DecodeCall): DecodeOutcome;
  /**
   * Optional. The tokens of a row that a call should compute at once, where the caller does not say: enough to fill the
   * device, and no more than it holds. Default: the caller's own.
   */
  chunk?(batch: number, logits: LogitsRequest): number;
  /** A new state whose row i is the given row of the given state. It serves to clone, select, reorder and merge. */
  gather(rows: readonly KernelStateRow[]): KernelState;
  /** Reads a state from the device: the values of each layer, for the tokens that each row has been fed. */
  exportState(state: KernelState, positions: readonly number[]): Promise<readonly LayerSnapshot[]>;
  /** Makes a state of values that core has checked against the config. */
  importState(layers: readonly LayerSnapshot[], positions: readonly number[]): KernelState;
  /** Optional. Compiles ahead of the first call, which would otherwise wait for it. `createModel` awaits it. */
  warm?(): Promise<void>;
  /**
   * Optional. Called after parameters were written to in place: copies that the kernel made of them are out of date.
   */
  weightsChanged?(): void;
  /** Frees what the kernel allocated. The weights stay alive; they belong to the model. */
  dispose(): void;
}

/** One row of a state, with the number of tokens that it has been fed. */
export interface KernelStateRow {
  readonly state: KernelState;
  readonly row: number;
  readonly position: number;
}
