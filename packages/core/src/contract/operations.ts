/**
 * The operations, which are all that a backend must be able to do. Core composes blocks and models of them, and a
 * backend may replace a composition by a fused form. `T` is a tensor handle; with bare specs, the same signatures
 * describe a call for `supports`. The semantics, shapes and errors of each operation are documented in
 * `operations/<stem>.ts`.
 *
 * This is not an array library: there is no broadcasting, there are no views, and there is no operation without a model
 * that needs it. Operations do not record anything for a later backward pass: `@mamba/train` does.
 */

import type { Shape } from './tensor.ts';

/** The rule by which the continuous system becomes a recurrence; see `selectiveScan`. */
export type Discretization = 'euler' | 'zoh' | 'bilinear';
/** A function of each element. The formulas are in `operations/multiply.ts`. */
export type Activation =
  | 'none'
  | 'silu'
  | 'gelu'
  | 'gelu-tanh'
  | 'relu2'
  | 'exp'
  | 'sigmoid'
  | 'tanh'
  | 'elu-plus-one'
  | 'reciprocal';
/** The activations of a convolution's output. */
export type ConvActivation = Extract<Activation, 'none' | 'silu'>;

/** Options of `selectiveScan`: the tensors that a scan may do without, and how it runs. */
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
  /** Whether the result has `states`, where the backend keeps any for this call. Default false. */
  readonly keepStates?: boolean | undefined;
}

/** The rules by which S4D becomes a recurrence; see `s4d`. */
export type S4dDiscretization = Exclude<Discretization, 'euler'>;

/** Options of `s4d`: the tensors that a scan may do without, and how it runs. */
export interface S4dOptions<T> {
  /** How the input enters the states, in the shape of A. Default: 1. */
  readonly B?: T | undefined;
  /** Skip weight `[dim]`: `D u` is added to the output. */
  readonly D?: T | undefined;
  /** `[batch, 2, dim, state]`, or `[batch, dim, state]` where A is real; zero if absent. */
  readonly initialState?: T | undefined;
  /** int32 `[batch, length]`. Where it is not 0, the state before that step is zero (packed sequences). */
  readonly resets?: T | undefined;
  /** Default `zoh`. */
  readonly discretization?: S4dDiscretization | undefined;
}

/** Options of `causalConv1d`. */
export interface CausalConv1dOptions<T> {
  /** Default `none`. */
  readonly activation?: ConvActivation | undefined;
  /** `[batch, dim, width - 1]`: the inputs before the first one, newest last; zero if absent. */
  readonly initialState?: T | undefined;
  /** int32 `[batch, length]`. Where it is not 0, the inputs before that step are zero. */
  readonly resets?: T | undefined;
}

/** Options of `rmsNorm`. */
export interface RmsNormOptions<T> {
  /** `[channels]`; 1 if absent. */
  readonly weight?: T | undefined;
  /** Added to the mean square. Default 1e-5. */
  readonly eps?: number | undefined;
}

/** Options of `layerNorm`. */
export interface LayerNormOptions<T> {
  /** `[channels]`; 1 if absent. */
  readonly weight?: T | undefined;
  /** `[channels]`; 0 if absent. */
  readonly bias?: T | undefined;
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number | undefined;
}

/** Options of `ssdScan`: the tensors that a scan may do without, and how it runs. */
export interface SsdScanOptions<T> {
  /** Skip weight `[heads]` or `[heads, headDim]`: `D x` is added to the output. */
  readonly D?: T | undefined;
  /** Gate in the shape of x: the output is multiplied by `silu(z)`. */
  readonly z?: T | undefined;
  /** `[heads]`: added to dt before softplus. */
  readonly dtBias?: T | undefined;
  /** Default false. */
  readonly dtSoftplus?: boolean | undefined;
  /** The smallest and the largest step size, after softplus; the largest may be ∞. Default: no limits. */
  readonly dtLimits?: readonly [smallest: number, largest: number] | undefined;
  /** The groups of B and C where they are `[batch, length, groups * state]`, and only there. Default 1. */
  readonly groups?: number | undefined;
  /** `[batch, heads, headDim, state]`; zero if absent. */
  readonly initialState?: T | undefined;
  /** int32 `[batch, length]`. Where it is not 0, the state before that step is zero (packed sequences). */
  readonly resets?: T | undefined;
}

/** Options of `gatedRmsNorm`. */
export interface GatedRmsNormOptions<T> {
  /** `[channels]`; 1 if absent. */
  readonly weight?: T | undefined;
  /** Added to the mean square. Default 1e-5. */
  readonly eps?: number | undefined;
  /** Neighbouring channels that are normalised together. Default: all. */
  readonly groupSize?: number | undefined;
  /** Whether x is normalised by itself and the gate multiplies the result. Default false: the gate multiplies x. */
  readonly normBeforeGate?: boolean | undefined;
}

/** Which keys a query of `attention` sees, and how their scores are formed. */
export interface AttentionOptions<T> {
  /** Channels of a head, where q, k and v are `[batch, length, heads * headDim]`. Needed there, and only there. */
  readonly headDim?: number | undefined;
  /** Whether a query sees no key behind its own position. Default true. */
  readonly causal?: boolean | undefined;
  /** A query sees only keys that are less than this many positions away. Default: no limit. */
  readonly window?: number | undefined;
  /** The first keys of a sequence, which the window does not hide. Default 0. */
  readonly globalTokens?: number | undefined;
  /** Multiplies q · k. Default 1 / √headDim. */
  readonly scale?: number | undefined;
  /** Scores become `softcap * tanh(score / softcap)`. Default: they stay as they are. */
  readonly softcap?: number | undefined;
  /** int32 `[batch, keys]`: a query sees keys whose number is that of its own position. Default: one for all. */
  readonly segments?: T | undefined;
  /** int32 `[batch]`: the keys of each row from this index on are not seen. Default: all keys are there. */
  readonly keyLengths?: T | undefined;
  /** The position of the first query among the keys. Default: keys - queries. */
  readonly offset?: number | undefined;
  /** int32 `[batch]`: the same for each row, in place of `offset`. */
  readonly offsets?: T | undefined;
  /**
   * `[batch, queries, 1]`, whole numbers: the number of positions, up to and with its own, that belong to the sequence
   * of each query. It sees no key before them. Default: all positions from 0 on.
   */
  readonly reach?: T | undefined;
}

/** The angles of `rope`, and the positions that they belong to. */
export interface RopeOptions<T> {
  /** Channels of a head, where x is `[batch, length, heads * headDim]`. Needed there, and only there. */
  readonly headDim?: number | undefined;
  /** Channels of a head that are rotated, an even number; those behind them stay. Default: all. */
  readonly rotaryDim?: number | undefined;
  /** The base of the frequencies, `theta^(-2 i / rotaryDim)`. Default 10000. */
  readonly theta?: number | undefined;
  /** The radians that pair i turns at each position, rotaryDim / 2 of them, in place of `theta`. */
  readonly frequencies?: readonly number[] | undefined;
  /** Whether the pairs are (2i, 2i + 1), and not (i, i + rotaryDim / 2). Default false. */
  readonly interleaved?: boolean | undefined;
  /** The position of the first token. Default 0. */
  readonly offset?: number | undefined;
  /** int32 `[batch, length]`: the position of each token, in place of `offset`. */
  readonly positions?: T | undefined;
}

/** Options of `multiply`. */
export interface MultiplyOptions {
  /** The activation of the first factor. Default `none`. */
  readonly activation?: Activation | undefined;
  /** Multiplies the result. Default 1. */
  readonly scale?: number | undefined;
}

/** How `sample` draws. The filters apply in the order topK, topP, minP. */
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

/** What `argmax` and `sample` do with a row from which no token can be chosen. */
export interface ChoiceOptions {
  /**
   * Returns -1 for a row that holds NaN or an infinity, so that no token can be chosen from it. Default false: NaN
   * counts as the smallest value.
   */
  readonly checked?: boolean | undefined;
}

/** Options of `crossEntropy`. */
export interface CrossEntropyOptions {
  /** Share of the target that is spread evenly over the vocabulary, in [0, 1]. Default 0. */
  readonly labelSmoothing?: number | undefined;
}

/** Options of `linearBackward`. */
export interface LinearBackwardOptions {
  /**
   * The gradients to compute. Default: all. A matrix in halves or quantised has no gradient, so `weight` must be left
   * out there.
   */
  readonly wanted?: readonly LinearInput[] | undefined;
}

/** An input of `linear` that has a gradient. */
export type LinearInput = 'x' | 'weight' | 'bias';

/** Options of `adamw`: what changes from update to update as numbers, or as a tensor for those that are captured. */
export type AdamwOptions<T> = AdamwConstants<T> & (AdamwStep | AdamwRates<T>);

/** What changes from update to update, as numbers. */
export interface AdamwStep {
  readonly learningRate: number;
  /** The number of this update, from 1: it corrects the bias of both moments. */
  readonly step: number;
  readonly rates?: undefined;
}

/** What changes from update to update, as a tensor, so that a captured update can be replayed with new values. */
export interface AdamwRates<T> {
  /** `[3]`, as `adamwRates` gives them: learningRate, learningRate / (1 - beta1^step), 1 / (1 - beta2^step). */
  readonly rates: T;
  readonly learningRate?: undefined;
  readonly step?: undefined;
}

/** The options of `adamw` that stay the same in all updates of a training. */
export interface AdamwConstants<T> {
  /** Decay of the first moment, in [0, 1). Default 0.9. */
  readonly beta1?: number | undefined;
  /** Decay of the second moment, in [0, 1). Default 0.999. */
  readonly beta2?: number | undefined;
  /** Added to the root of the second moment. Default 1e-8. */
  readonly eps?: number | undefined;
  /** Decoupled weight decay. Default 0. */
  readonly weightDecay?: number | undefined;
  /** `[1]`: the norm of all gradients together (`gradientNorm`). Where it is not finite, nothing is written. */
  readonly norm?: T | undefined;
  /** The gradient is multiplied by `min(1, maxNorm / (norm + 1e-6))`; it needs `norm`. Default: no limit. */
  readonly maxNorm?: number | undefined;
}

/** What AdamW remembers of a parameter between updates: running means, of the parameter's shape, zero at first. */
export interface AdamwMoments<T> {
  /** The mean of the gradient. */
  readonly first: T;
  /** The mean of the gradient's square. */
  readonly second: T;
}

/** The results of a scan or a convolution over length. */
export interface ScanResult<T> {
  /** In the shape of the input: `[batch, length, dim]`. */
  readonly y: T;
  /** The state after the last step. */
  readonly lastState: T;
}

/** The results of a selective scan. */
export interface SelectiveScanResult<T> extends ScanResult<T> {
  /**
   * `[batch, ⌈length / k⌉, dim, state]`, with a k of the backend's own: the state before every k-th step. It is there
   * with `keepStates` alone, and only where the backend keeps any. `selectiveScanBackward` of the same call takes it,
   * and need not compute the states again.
   */
  readonly states?: T;
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

/** Gradients of `s4d`'s inputs, each in the shape of its input. Those of absent inputs are absent. */
export interface S4dGradients<T> {
  readonly u: T;
  readonly dt: T;
  readonly A: T;
  readonly C: T;
  readonly B?: T | undefined;
  readonly D?: T | undefined;
  readonly initialState?: T | undefined;
}

/** Gradients of `ssdScan`'s inputs, each in the shape of its input. Those of absent inputs are absent. */
export interface SsdScanGradients<T> {
  readonly x: T;
  readonly dt: T;
  readonly A: T;
  readonly B: T;
  readonly C: T;
  readonly D?: T | undefined;
  readonly z?: T | undefined;
  readonly dtBias?: T | undefined;
  readonly initialState?: T | undefined;
}

/** Gradients of `gatedRmsNorm`'s inputs, each in the shape of its input. Those of absent inputs are absent. */
export interface GatedRmsNormGradients<T> {
  readonly x: T;
  readonly z?: T | undefined;
  readonly weight?: T | undefined;
}

/** Gradients of `causalConv1d`'s inputs, each in the shape of its input. Those of absent inputs are absent. */
export interface CausalConv1dGradients<T> {
  readonly x: T;
  readonly weight: T;
  readonly bias?: T | undefined;
  readonly initialState?: T | undefined;
}

/** The results of `attention`. */
export interface AttentionResult<T> {
  /** In the shape of q. */
  readonly y: T;
  /** `[batch, queries, heads]`: log Σ exp(score) over the keys that are seen; -∞ where there are none. */
  readonly logSumExp: T;
}

/** The cotangents of the results of attention. */
export interface AttentionCotangents<T> {
  readonly y: T;
  /** Zero if absent. */
  readonly logSumExp?: T | undefined;
}

/** Gradients of `attention`'s inputs, each in the shape of its input. */
export interface AttentionGradients<T> {
  readonly q: T;
  readonly k: T;
  readonly v: T;
}

/** Where `writeRows` writes. */
export interface WriteRowsOptions<T> {
  /** The row of the target that the first row is written to. Default 0. */
  readonly offset?: number | undefined;
  /** int32 `[batch]`: the same for each row of the batch, in place of `offset`. */
  readonly offsets?: T | undefined;
}

/** Gradients of `linear`'s inputs, each in the shape of its input; those alone that were wanted. */
export interface LinearGradients<T> {
  readonly x?: T | undefined;
  readonly weight?: T | undefined;
  readonly bias?: T | undefined;
}

/** Gradients of `rmsNorm`'s inputs, each in the shape of its input. Those of absent inputs are absent. */
export interface RmsNormGradients<T> {
  readonly x: T;
  readonly weight?: T | undefined;
}

/** Gradients of `layerNorm`'s inputs, each in the shape of its input. Those of absent inputs are absent. */
export interface LayerNormGradients<T> {
  readonly x: T;
  readonly weight?: T | undefined;
  readonly bias?: T | undefined;
}

/** Gradients of `multiply`'s inputs, each in the shape of its input. Those of absent inputs are absent. */
export interface MultiplyGradients<T> {
  readonly a: T;
  readonly b?: T | undefined;
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
  selectiveScan(u: T, delta: T, A: T, B: T, C: T, options?: SelectiveScanOptions<T>): SelectiveScanResult<T>;
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
  /** A copy with other extents and the same values in the same order. */
  reshape(x: T, shape: Shape): T;
  /** Tensors joined along one axis; all other extents agree. */
  concat(tensors: readonly T[], axis: number): T;
  /** Index of the largest logit of each row: `[…, vocab]` → int32 `[…]`. */
  argmax(logits: T, options?: ChoiceOptions): T;
  /** One token drawn for each row: logits `[…, vocab]`, uniform `[…]` in [0, 1) → int32 `[…]`. */
  sample(logits: T, uniform: T, options?: SampleOptions & ChoiceOptions): T;
  /** Log-probability in nats of one token of each row: logits `[…, vocab]`, int32 ids `[…]` → `[…]`. */
  logProb(logits: T, ids: T): T;
}

/** The mixers beside Mamba's. A backend may lack them: `supports` tells, and a call throws `unsupported`. */
export interface MixerOperations<T> {
  /**
   * The diagonal state space of arXiv 2206.11893: u `[batch, length, dim]`, dt `[dim]`, A and C `[2, dim, state]` for
   * complex numbers, or `[dim, state]` for real ones.
   */
  s4d(u: T, dt: T, A: T, C: T, options?: S4dOptions<T>): ScanResult<T>;
  /**
   * The scan of Mamba-2 (arXiv 2405.21060): x `[batch, length, heads, headDim]`, dt `[batch, length, heads]`, A
   * `[heads]`, B and C `[batch, length, groups, state]`; heads of x and groups of B and C may be flattened.
   */
  ssdScan(x: T, dt: T, A: T, B: T, C: T, options?: SsdScanOptions<T>): ScanResult<T>;
  /** RMS norm over groups of channels of `x silu(z)`, or of x with the gate after it: x, z `[…, channels]`. */
  gatedRmsNorm(x: T, z?: T | undefined, options?: GatedRmsNormOptions<T>): T;
  /**
   * Softmax attention: q `[batch, queries, heads, headDim]`, k and v `[batch, keys, kvHeads, headDim]`, or the heads of
   * each flattened as `[batch, length, heads * headDim]`. A group of heads / kvHeads neighbouring heads shares a head
   * of k and v.
   */
  attention(q: T, k: T, v: T, options?: AttentionOptions<T>): AttentionResult<T>;
  /** Rotary positions: x `[batch, length, heads, headDim]` or `[batch, length, heads * headDim]` → the same shape. */
  rope(x: T, options?: RopeOptions<T>): T;
  /** The indices that sort each row, equal keys in their order: int32 `[…, length]` → int32 of that shape. */
  argsort(keys: T): T;
}

/**
 * Gradients, for training: each takes the arguments of its operation and then the cotangents of the results. `add`,
 * `slice`, `reshape` and `concat` have none, since their gradients are copies, `concat`, `reshape` and `slice`. Every
 * gradient repeats bit for bit on one machine with the same settings.
 */
export interface BackwardOperations<T> {
  /**
   * Gradients of `selectiveScan`'s inputs, given the cotangents of its results. `states` are those that the forward
   * call kept; they save time and change no gradient but by rounding.
   */
  selectiveScanBackward(
    u: T,
    delta: T,
    A: T,
    B: T,
    C: T,
    options: SelectiveScanOptions<T>,
    cotangents: ScanCotangents<T>,
    states?: T | undefined,
  ): SelectiveScanGradients<T>;
  /** Gradients of `s4d`'s inputs, given the cotangents of its results. */
  s4dBackward(u: T, dt: T, A: T, C: T, options: S4dOptions<T>, cotangents: ScanCotangents<T>): S4dGradients<T>;
  /** Gradients of `ssdScan`'s inputs, given the cotangents of its results. */
  ssdScanBackward(
    x: T,
    dt: T,
    A: T,
    B: T,
    C: T,
    options: SsdScanOptions<T>,
    cotangents: ScanCotangents<T>,
  ): SsdScanGradients<T>;
  /** Gradients of `gatedRmsNorm`'s inputs, given the cotangent of its result. */
  gatedRmsNormBackward(x: T, z: T | undefined, options: GatedRmsNormOptions<T>, dy: T): GatedRmsNormGradients<T>;
  /** Gradients of `causalConv1d`'s inputs, given the cotangents of its results. */
  causalConv1dBackward(
    x: T,
    weight: T,
    bias: T | undefined,
    options: CausalConv1dOptions<T>,
    cotangents: ScanCotangents<T>,
  ): CausalConv1dGradients<T>;
  /**
   * Gradients of `attention`'s inputs, given its results and their cotangents. The results are those of the same
   * arguments, so that nothing is computed twice.
   */
  attentionBackward(
    q: T,
    k: T,
    v: T,
    options: AttentionOptions<T>,
    results: AttentionResult<T>,
    cotangents: AttentionCotangents<T>,
  ): AttentionGradients<T>;
  /** The gradient of `rope`'s x, which needs the cotangent alone. */
  ropeBackward(options: RopeOptions<T>, dy: T): T;
  /** Gradients of `linear`'s inputs: `dy weight` of x, `dyᵀ x` of weight, sums over rows of bias. */
  linearBackward(x: T, weight: T, bias: T | undefined, dy: T, options?: LinearBackwardOptions): LinearGradients<T>;
  /** Gradients of `rmsNorm`'s inputs, given the cotangent of its result. */
  rmsNormBackward(x: T, options: RmsNormOptions<T>, dy: T): RmsNormGradients<T>;
  /** Gradients of `layerNorm`'s inputs, given the cotangent of its result. */
  layerNormBackward(x: T, options: LayerNormOptions<T>, dy: T): LayerNormGradients<T>;
  /** The gradient of the table, `[rows, channels]`: the sum of the rows of dy that have each id. */
  embeddingBackward(table: T, ids: T, dy: T): T;
  /** Gradients of `multiply`'s factors, given the cotangent of its result. */
  multiplyBackward(a: T, b: T | undefined, options: MultiplyOptions, dy: T): MultiplyGradients<T>;
  /** The gradient of the logits. */
  logProbBackward(logits: T, ids: T, dy: T): T;
  /** The gradient of the logits. */
  crossEntropyBackward(logits: T, targets: T, options: CrossEntropyOptions, dy: T): T;
}

/** Losses and norms, for training. */
export interface LossOperations<T> {
  /** The loss in nats of each row: logits `[…, vocab]`, int32 targets `[…]` → `[…]`; 0 where the target is below 0. */
  crossEntropy(logits: T, targets: T, options?: CrossEntropyOptions): T;
  /** The root of the sum of all squares of these tensors, `[1]`. */
  gradientNorm(gradients: readonly T[]): T;
}

/** The only operations that write to their inputs. */
export interface UpdateOperations<T> {
  /** One step of AdamW (arXiv 1711.05101, algorithm 2), which writes to parameter and moments. */
  adamw(parameter: T, gradient: T, moments: AdamwMoments<T>, options: AdamwOptions<T>): void;
  /** Writes rows `[batch, length, …]` to a target `[batch, capacity, …]`: all that a growing state needs for a step. */
  writeRows(target: T, rows: T, options?: WriteRowsOptions<T>): void;
}

/**
 * What training needs beside the forward operations. A backend may lack these operations: `supports('adamw', …)` tells,
 * and a call throws `unsupported`.
 */
export interface TrainingOperations<T> extends BackwardOperations<T>, LossOperations<T>, UpdateOperations<T> {}

/** All operations of the contract, with tensors as `T`. */
export interface Operations<T> extends ForwardOperations<T>, MixerOperations<T>, TrainingOperations<T> {}
/** The name of an operation that every backend has. */
export type ForwardOperationName = keyof ForwardOperations<unknown>;
/** The name of an operation of a mixer beside Mamba, which a backend may lack. */
export type MixerOperationName = keyof MixerOperations<unknown>;
/** The name of an operation that only training needs, and that a backend may lack. */
export type TrainingOperationName = keyof TrainingOperations<unknown>;
/** The name of any operation. */
export type OperationName = ForwardOperationName | MixerOperationName | TrainingOperationName;
