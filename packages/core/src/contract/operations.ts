/**
 * The operations, which are all that a backend must be able to do. Core composes blocks and models of them, and a
 * backend may replace a composition by a fused form. `T` is a tensor handle; with bare specs, the same signatures
 * describe a call for `supports`. The semantics, shapes and errors of each operation are documented in
 * `operations/<stem>.ts`.
 *
 * This is not an array library: there is no broadcasting, there are no views, there is no autograd, and there is no
 * operation without a model that needs it.
 */

/** The rule by which the continuous system becomes a recurrence; see `selectiveScan`. */
export type Discretization = 'euler' | 'zoh' | 'bilinear';
/** A function of each element. The formulas are in `operations/multiply.ts`. */
export type Activation = 'none' | 'silu' | 'gelu' | 'gelu-tanh' | 'relu2';
/** The activations of a convolution's output. */
export type ConvActivation = Extract<Activation, 'none' | 'silu'>;

export interface SelectiveScanOptions<T> {
  /** Skip weight `[dim]`: `D u` is added to the output. */
  readonly D?: T | undefined;
  /** Gate `[batch, length, dim]`: the output is multiplied by `silu(z)`. */
  readonly z?: T | undefined;
  /** `[dim]`: added to delta before softplus. */
  readonly deltaBias?: T | undefined;
  /** Default false. */
  readonly deltaSoftplus?: boolean | undefined;
  /** `[batch, dim, state]`; zero if absent. */
  readonly initialState?: T | undefined;
  /** int32 `[batch, length]`. Where it is not 0, the state before that step is zero (packed sequences). */
  readonly resets?: T | undefined;
  /** Default `euler`. */
  readonly discretization?: Discretization | undefined;
}

export interface CausalConv1dOptions<T> {
  /** Default `none`. */
  readonly activation?: ConvActivation | undefined;
  /** `[batch, dim, width - 1]`: the inputs before the first one, newest last; zero if absent. */
  readonly initialState?: T | undefined;
  /** int32 `[batch, length]`. Where it is not 0, the inputs before that step are zero. */
  readonly resets?: T | undefined;
}

export interface RmsNormOptions<T> {
  /** `[channels]`; 1 if absent. */
  readonly weight?: T | undefined;
  /** Added to the mean square. Default 1e-5. */
  readonly eps?: number | undefined;
}

export interface LayerNormOptions<T> {
  /** `[channels]`; 1 if absent. */
  readonly weight?: T | undefined;
  /** `[channels]`; 0 if absent. */
  readonly bias?: T | undefined;
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number | undefined;
}

export interface MultiplyOptions {
  /** The activation of the first factor. Default `none`. */
  readonly activation?: Activation | undefined;
  /** Multiplies the result. Default 1. */
  readonly scale?: number | undefined;
}

export interface SampleOptions {
  /** The logits are divided by this; 0 means argmax. Default 1. */
  readonly temperature?: number | undefined;
  /** Keeps the k largest logits. Default: all. */
  readonly topK?: number | undefined;
  /** Keeps the smallest set of the most likely tokens whose total probability reaches topP. Default 1. */
  readonly topP?: number | undefined;
  /** Drops tokens that are less likely than minP times the likeliest one. Default 0. */
  readonly minP?: number | undefined;
}

export interface ChoiceOptions {
  /**
   * Returns -1 for a row that holds NaN or an infinity, so that no token can be chosen from it. Default false: NaN
   * counts as the smallest value.
   */
  readonly checked?: boolean | undefined;
}

export interface ScanResult<T> {
  /** `[batch, length, dim]` */
  readonly y: T;
  /** The state after the last step. */
  readonly lastState: T;
}

/** The cotangents of the results of a scan or a convolution. */
export interface ScanCotangents<T> {
  readonly y: T;
  /** Zero if absent. */
  readonly lastState?: T | undefined;
}

/** Gradients by the names of their inputs. Those of absent inputs are absent. */
export interface SelectiveScanGradients<T> {
  readonly u: T;
  readonly delta: T;
  readonly A: T;
  readonly B: T;
  readonly C: T;
  readonly D?: T | undefined;
  readonly z?: T | undefined;
  readonly deltaBias?: T | undefined;
  readonly initialState?: T | undefined;
}

export interface CausalConv1dGradients<T> {
  readonly x: T;
  readonly weight: T;
  readonly bias?: T | undefined;
  readonly initialState?: T | undefined;
}

/**
 * The operations that every backend has. Each throws `invalid-argument` on arguments that no backend could take,
 * `unsupported` where this backend does not take them, `disposed` and `foreign` on such tensors.
 */
export interface ForwardOperations<T> {
  /**
   * The selective scan of arXiv 2312.00752 (algorithm 2): u and delta `[batch, length, dim]`, A `[dim, state]`, B and C
   * `[batch, length, groups, state]`, without groups, or constant as `[dim, state]`.
   */
  selectiveScan(u: T, delta: T, A: T, B: T, C: T, options?: SelectiveScanOptions<T>): ScanResult<T>;
  /** Depthwise causal convolution over length: x `[batch, length, dim]`, weight `[dim, width]`, bias `[dim]`. */
  causalConv1d(x: T, weight: T, bias?: T | undefined, options?: CausalConv1dOptions<T>): ScanResult<T>;
  /** `x weightᵀ + bias`: x `[…, inputs]`, weight `[outputs, inputs]`, bias `[outputs]` → `[…, outputs]`. */
  linear(x: T, weight: T, bias?: T | undefined): T;
  /** Root mean square norm over the last axis: x `[…, channels]` → the same shape. */
  rmsNorm(x: T, options?: RmsNormOptions<T>): T;
  /** Layer norm over the last axis: x `[…, channels]` → the same shape. */
  layerNorm(x: T, options?: LayerNormOptions<T>): T;
  /** Rows of a table `[rows, channels]` by int32 ids `[…]` → `[…, channels]`. */
  embedding(table: T, ids: T): T;
  /** `a + b`, all of one shape. */
  add(a: T, b: T): T;
  /** `scale * activation(a) * b`, all of one shape; without b, `scale * activation(a)`. */
  multiply(a: T, b?: T | undefined, options?: MultiplyOptions): T;
  /** A copy of `[start, end)` of one axis. */
  slice(x: T, axis: number, start: number, end: number): T;
  /** Tensors joined along one axis; all other extents agree. */
  concat(tensors: readonly T[], axis: number): T;
  /** Index of the largest logit of each row: `[…, vocab]` → int32 `[…]`. */
  argmax(logits: T, options?: ChoiceOptions): T;
  /** One token drawn for each row: logits `[…, vocab]`, uniform `[…]` in [0, 1) → int32 `[…]`. */
  sample(logits: T, uniform: T, options?: SampleOptions & ChoiceOptions): T;
  /** Log-probability in nats of one token of each row: logits `[…, vocab]`, int32 ids `[…]` → `[…]`. */
  logProb(logits: T, ids: T): T;
}

/**
 * Gradients, for training. A backend may lack these operations: `supports('selectiveScanBackward', …)` tells, and a
 * call throws `unsupported`.
 */
export interface BackwardOperations<T> {
  /** Gradients of `selectiveScan`'s inputs, given the cotangents of its results. */
  selectiveScanBackward(
    u: T,
    delta: T,
    A: T,
    B: T,
    C: T,
    options: SelectiveScanOptions<T>,
    cotangents: ScanCotangents<T>,
  ): SelectiveScanGradients<T>;
  /** Gradients of `causalConv1d`'s inputs, given the cotangents of its results. */
  causalConv1dBackward(
    x: T,
    weight: T,
    bias: T | undefined,
    options: CausalConv1dOptions<T>,
    cotangents: ScanCotangents<T>,
  ): CausalConv1dGradients<T>;
}

export interface Operations<T> extends ForwardOperations<T>, BackwardOperations<T> {}
export type ForwardOperationName = keyof ForwardOperations<unknown>;
export type BackwardOperationName = keyof BackwardOperations<unknown>;
export type OperationName = ForwardOperationName | BackwardOperationName;
