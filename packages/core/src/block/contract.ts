/**
 * The Mamba block (arXiv 2312.00752, figure 3 and section 3.4), without its norm and residual:
 * in_proj → split x, z → causal conv → SiLU → x_proj → dt, B, C → dt_proj → selective scan with gate z → out_proj.
 */
import type { Tensor } from '../contract/tensor.ts';

export interface BlockConfig {
  readonly dModel: number;
  readonly dInner: number;
  readonly dState: number;
  readonly dConv: number;
  readonly dtRank: number;
  /** Falcon-Mamba: dt, B and C are RMS-normalised, without a weight, before they are used; absent means not. */
  readonly mixerNormEps?: number | undefined;
}

/** `T` is a Tensor, or whatever else goes by these names. Shapes in brackets. */
export interface BlockWeights<T> {
  /** `[2 dInner, dModel]`: rows of x, then of z. */
  readonly inProj: T;
  /** `[2 dInner]` */
  readonly inProjBias?: T | undefined;
  /** `[dInner, dConv]` */
  readonly conv: T;
  /** `[dInner]` */
  readonly convBias?: T | undefined;
  /** `[dtRank + 2 dState, dInner]`: rows of dt, B, C. */
  readonly xProj: T;
  /** `[dInner, dtRank]` */
  readonly dtProj: T;
  /** `[dInner]`; goes to the scan as its deltaBias, and nowhere else. */
  readonly dtBias: T;
  /** `[dInner, dState]`, negative: -exp(A_log). */
  readonly A: T;
  /** `[dInner]` */
  readonly D: T;
  /** `[dModel, dInner]` */
  readonly outProj: T;
  /** `[dModel]` */
  readonly outProjBias?: T | undefined;
}

/** What a block remembers between calls, constant in size. */
export interface BlockState {
  /** `[batch, dInner, dConv - 1]`, newest last. */
  readonly conv: Tensor;
  /** `[batch, dInner, dState]` */
  readonly ssm: Tensor;
}

export interface BlockCall {
  /** `[batch, length, dModel]` */
  readonly x: Tensor;
  /** Zero if absent. Never written to. */
  readonly state: BlockState | undefined;
  /** int32 `[batch, length]`; where not 0 a new sequence begins. */
  readonly resets: Tensor | undefined;
  readonly batch: number;
  readonly length: number;
}

export interface BlockResult {
  /** `[batch, length, dModel]` */
  readonly y: Tensor;
  readonly state: BlockState;
}

/** A block as a backend computes it; weights belong to whoever made it. */
export interface BlockKernel {
  forward(call: BlockCall): BlockResult;
}
