/**
 * A language model: embedding → blocks, each `residual + block(norm(residual))` → final norm → head. The residual stays
 * in the backend's precision. Which kinds of blocks, and in which order, the config lists.
 */
import type { BlockWeights } from '../blocks/contract.ts';
import type { BlockConfig, BlockKind } from '../blocks/kinds.ts';
import type { MambaConfig } from '../blocks/mamba/config.ts';
import type { HostRows, HostTensor, Shape, Tensor } from '../contract/tensor.ts';

export interface ModelConfig {
  readonly dModel: number;
  /** Rows of the embedding and of the head. */
  readonly vocabSize: number;
  readonly normEps: number;
  /** The head is the embedding. */
  readonly tiedHead: boolean;
  /** The layers, from the embedding to the head. */
  readonly blocks: readonly BlockConfig[];
  /**
   * Norm before each block and before the head: RMS with a weight, or LayerNorm with weight and bias. Default `rms`.
   */
  readonly norm?: 'rms' | 'layer' | undefined;
  /** Factors of the model's own. Default 1 each. */
  readonly multipliers?: Multipliers | undefined;
  /** Rows of a learned table of positions that is added to the embedding (GPT-2). Default: there is none. */
  readonly positions?: number | undefined;
}

export interface Multipliers {
  /** Of the embedding's rows. */
  readonly embedding?: number | undefined;
  /** Of each block's output, before it is added to the residual. */
  readonly residual?: number | undefined;
  /** Of the logits. */
  readonly logits?: number | undefined;
}

/** A model whose layers are alike Mamba blocks, in one flat object: taken wherever a config is. */
export interface UniformMambaConfig extends MambaConfig, Omit<ModelConfig, 'blocks'> {
  readonly kind?: 'mamba' | undefined;
  readonly layers: number;
}

export interface LayerWeights<T> {
  /** `[dModel]` */
  readonly norm: T;
  /** `[dModel]`, of LayerNorm. */
  readonly normBias?: T | undefined;
  readonly block: BlockWeights<T>;
}

export interface ModelWeights<T> {
  /** `[vocabSize, dModel]` */
  readonly embedding: T;
  /** `[positions, dModel]` */
  readonly positions?: T | undefined;
  readonly layers: readonly LayerWeights<T>[];
  /** `[dModel]` */
  readonly finalNorm: T;
  /** `[dModel]`, of LayerNorm. */
  readonly finalNormBias?: T | undefined;
  /** `[vocabSize, dModel]`; the embedding itself where tied. */
  readonly head: T;
}

/** One parameter of a model, as asked of a source: `layers.3.block.inProj`. */
export interface ParameterSpec {
  readonly name: string;
  /** Index of its layer; undefined outside layers. */
  readonly layer: number | undefined;
  /** Kind of its layer's block; undefined outside layers. */
  readonly kind: BlockKind | undefined;
  /** The name without its layer: `embedding`, `norm`, `block.inProj`. */
  readonly key: ParameterKey;
  readonly shape: Shape;
  /** Matrices may be stored in a smaller dtype; everything else stays in the backend's precision. */
  readonly role: 'matrix' | 'vector';
}

export type ParameterKey =
  | 'embedding'
  | 'positions'
  | 'finalNorm'
  | 'finalNormBias'
  | 'head'
  | 'norm'
  | 'normBias'
  | `block.${string}`;

/** A parameter as a model holds it. The handle reads, and is no one's to dispose; it goes with the model. */
export interface ModelParameter extends ParameterSpec {
  readonly tensor: Tensor;
}

/** Gives a parameter's values. Asked once for each, in order, so that one tensor at a time is in host memory. */
export interface ParameterSource {
  (parameter: ParameterSpec): HostTensor | Promise<HostTensor>;
  /**
   * The same values of a matrix, to be read some rows at a time. `createModel` asks here first, and for the whole where
   * this is absent or gives undefined.
   */
  rows?(parameter: ParameterSpec): HostRows | undefined | Promise<HostRows | undefined>;
}

/** Which positions get logits. */
export type LogitsRequest = 'all' | 'last' | 'none';

/** A model's state as a kernel keeps it: opaque to everyone else. */
export interface KernelState {
  readonly batch: number;
  readonly bytes: number;
  dispose(): void;
}

/** One layer's state on the host: values by slot, each `[batch, …]`. A slot that holds nothing yet is absent. */
export type LayerSnapshot = Readonly<Record<string, Float32Array | Float64Array>>;

export interface ModelCall {
  /** int32 `[batch, length]`, all within the vocabulary. */
  readonly ids: Tensor;
  /** Zero if absent. */
  readonly state: KernelState | undefined;
  /**
   * The caller gives the state away: the kernel may reuse its memory, and has disposed or reused it where it returns.
   * Where it throws, the state is unchanged. Not donated, a state is never written to.
   */
  readonly donated: boolean;
  /** Tokens fed before this call, of each row. */
  readonly positions: readonly number[];
  readonly resets: Tensor | undefined;
  readonly logits: LogitsRequest;
  readonly hiddenStates: boolean;
  readonly batch: number;
  readonly length: number;
}

export interface ModelOutcome {
  /** `[batch, length, vocab]`, `[batch, 1, vocab]` for `last`, absent for `none`. */
  readonly logits: Tensor | undefined;
  readonly state: KernelState;
  /**
   * One more than there are blocks, `[batch, length, dModel]`: the embedding, each layer's output, the last one after
   * the final norm.
   */
  readonly hiddenStates: readonly Tensor[] | undefined;
}

export interface DecodeCall {
  /** int32 `[batch, 1]`: the tokens to feed first. */
  readonly ids: Tensor;
  readonly state: KernelState | undefined;
  readonly donated: boolean;
  /** Tokens fed before this call, of each row. */
  readonly positions: readonly number[];
  /** Tokens to generate. */
  readonly count: number;
  /** Absent means argmax. */
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

export interface DecodeOutcome {
  /** int32 `[batch, count]`, chosen as by `argmax` or `sample` that is checked: -1 where no token follows. */
  readonly ids: Tensor;
  /** After all fed tokens: the last generated one has not been fed. */
  readonly state: KernelState;
}

/**
 * A model as a backend computes it. Core's composition is one; a driver may give a fused one. Arguments are checked
 * already.
 */
export interface ModelKernel {
  forward(call: ModelCall): ModelOutcome;
  /** Generates without leaving the device; absent means a loop of forward and sample. */
  decode?(call: DecodeCall): DecodeOutcome;
  /** A new state whose row i is the given row of the given state: clone, select, reorder and merge in one. */
  gather(rows: readonly KernelStateRow[]): KernelState;
  exportState(state: KernelState, positions: readonly number[]): Promise<readonly LayerSnapshot[]>;
  importState(layers: readonly LayerSnapshot[], positions: readonly number[]): KernelState;
  /** Optional. Compiles what the first call would otherwise wait for; `createModel` awaits it. */
  warm?(): Promise<void>;
  /** Optional. Parameters were written to in place: whatever the kernel keeps that was made of them is stale. */
  weightsChanged?(): void;
  /** Frees what it made beside the weights, which are the model's. */
  dispose(): void;
}

/** One row of a state, by the tokens that it has been fed. */
export interface KernelStateRow {
  readonly state: KernelState;
  readonly row: number;
  readonly position: number;
}
