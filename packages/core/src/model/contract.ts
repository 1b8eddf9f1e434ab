/**
 * A Mamba language model: embedding → layers of `residual + block(rmsNorm(residual))` → rmsNorm → head. The residual stays in the
 * backend's precision.
 */
import type { BlockConfig, BlockWeights } from '../block/contract.ts';
import type { HostRows, HostTensor, Shape, Tensor } from '../contract/tensor.ts';

export interface ModelConfig extends BlockConfig {
  readonly layers: number;
  /** Rows of the embedding and of the head. */
  readonly vocabSize: number;
  readonly normEps: number;
  /** The head is the embedding. */
  readonly tiedHead: boolean;
  /** in_proj and out_proj have biases. */
  readonly projectionBias: boolean;
  readonly convBias: boolean;
}

export interface LayerWeights<T> {
  /** `[dModel]` */
  readonly norm: T;
  readonly block: BlockWeights<T>;
}

export interface ModelWeights<T> {
  /** `[vocabSize, dModel]` */
  readonly embedding: T;
  readonly layers: readonly LayerWeights<T>[];
  /** `[dModel]` */
  readonly finalNorm: T;
  /** `[vocabSize, dModel]`; the embedding itself where tied. */
  readonly head: T;
}

/** One parameter of a model, as asked of a source: `layers.3.block.inProj`. */
export interface ParameterSpec {
  readonly name: string;
  /** Index of its layer; undefined outside layers. */
  readonly layer: number | undefined;
  /** The name without its layer: `embedding`, `norm`, `block.inProj`. */
  readonly key: ParameterKey;
  readonly shape: Shape;
  /** Matrices may be stored in a smaller dtype; everything else stays in the backend's precision. */
  readonly role: 'matrix' | 'vector';
}

export type ParameterKey = 'embedding' | 'finalNorm' | 'head' | 'norm' | `block.${keyof BlockWeights<unknown>}`;

/** Gives a parameter's values. Asked once for each, in order, so that one tensor at a time is in host memory. */
export interface ParameterSource {
  (parameter: ParameterSpec): HostTensor | Promise<HostTensor>;
  /**
   * The same values of a matrix, to be read some rows at a time. `createModel` asks here first, and for the whole where this is absent
   * or gives undefined.
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

/** One layer's state on the host. */
export interface LayerSnapshot {
  /** `[batch, dInner, dConv - 1]`, newest last. */
  readonly conv: Float32Array | Float64Array;
  /** `[batch, dInner, dState]` */
  readonly ssm: Float32Array | Float64Array;
}

export interface ModelCall {
  /** int32 `[batch, length]`, all within the vocabulary. */
  readonly ids: Tensor;
  /** Zero if absent. */
  readonly state: KernelState | undefined;
  /**
   * The caller gives the state away: the kernel may reuse its memory, and has disposed or reused it where it returns. Where it
   * throws, the state is unchanged. Not donated, a state is never written to.
   */
  readonly donated: boolean;
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
  /** `layers + 1` of `[batch, length, dModel]`: the embedding, each layer's output, the last one after the final norm. */
  readonly hiddenStates: readonly Tensor[] | undefined;
}

export interface DecodeCall {
  /** int32 `[batch, 1]`: the tokens to feed first. */
  readonly ids: Tensor;
  readonly state: KernelState | undefined;
  readonly donated: boolean;
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

/** A model as a backend computes it. Core's composition is one; a driver may give a fused one. Arguments are checked already. */
export interface ModelKernel {
  forward(call: ModelCall): ModelOutcome;
  /** Generates without leaving the device; absent means a loop of forward and sample. */
  decode?(call: DecodeCall): DecodeOutcome;
  /** A new state whose row i is the given row of the given state: clone, select, reorder and merge in one. */
  gather(rows: readonly { readonly state: KernelState; readonly row: number }[]): KernelState;
  exportState(state: KernelState): Promise<readonly LayerSnapshot[]>;
  importState(layers: readonly LayerSnapshot[], batch: number): KernelState;
  /** Compiles what the first call would otherwise wait for; `createModel` awaits it. */
  warm?(): Promise<void>;
  /** Frees what it made beside the weights, which are the model's. */
  dispose(): void;
}
