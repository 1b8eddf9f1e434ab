import type { Tensor } from '../../contract/tensor.ts';
import type { BlockParameter, StateSlot } from '../contract.ts';
import type { MambaConfig } from './config.ts';

/** The weights of a Mamba block. `T` is a Tensor, or anything else that is kept under these names. */
export type MambaWeights<T> = {
  /** `[2 dInner, dModel]`: the rows of x, then those of z. */
  readonly inProj: T;
  /** `[2 dInner]` */
  readonly inProjBias?: T | undefined;
  /** `[dInner, dConv]` */
  readonly conv: T;
  /** `[dInner]` */
  readonly convBias?: T | undefined;
  /** `[dtRank + 2 dState, dInner]`: the rows of dt, B and C. */
  readonly xProj: T;
  /** `[dtRank]`: weight of dt's norm. */
  readonly dtNorm?: T | undefined;
  /** `[dState]`: weight of B's norm. */
  readonly BNorm?: T | undefined;
  /** `[dState]`: weight of C's norm. */
  readonly CNorm?: T | undefined;
  /** `[dInner, dtRank]` */
  readonly dtProj: T;
  /** `[dInner]`: the bias of dt_proj, which the scan adds as its deltaBias. */
  readonly dtBias: T;
  /** `[dInner, dState]`, negative: `-exp(A_log)` of a checkpoint. */
  readonly A: T;
  /** `[dInner]` */
  readonly D: T;
  /** `[dModel, dInner]` */
  readonly outProj: T;
  /** `[dModel]` */
  readonly outProjBias?: T | undefined;
};

/** The state of a Mamba block. Its size does not depend on the length of the sequence. */
export type MambaState = {
  /** `[batch, dInner, dConv - 1]`: the last inputs of the convolution, newest last. */
  readonly conv: Tensor;
  /** `[batch, dInner, dState]`: the scan's state. */
  readonly ssm: Tensor;
};

type Key = keyof MambaWeights<unknown>;

export function mambaParameters(config: MambaConfig, dModel: number): readonly BlockParameter[] {
  const { dInner, dState, dConv, dtRank, projectionBias, convBias } = config;
  const normWeights = config.mixerNormEps !== undefined && config.mixerNormWeights === true;
  const matrix = (key: Key, outputs: number, inputs: number): BlockParameter => ({
    key,
    shape: [outputs, inputs],
    role: 'matrix',
  });
  const vector = (key: Key, ...shape: number[]): BlockParameter => ({ key, shape, role: 'vector' });
  /** The parameter if it is present; if that is undefined, the parameter as an optional one. */
  const where = (present: boolean | undefined, parameter: BlockParameter): readonly BlockParameter[] => {
    if (present === undefined) return [{ ...parameter, optional: true }];
    return present ? [parameter] : [];
  };
  return [
    matrix('inProj', 2 * dInner, dModel),
    ...where(projectionBias, vector('inProjBias', 2 * dInner)),
    vector('conv', dInner, dConv),
    ...where(convBias, vector('convBias', dInner)),
    matrix('xProj', dtRank + 2 * dState, dInner),
    ...where(normWeights, vector('dtNorm', dtRank)),
    ...where(normWeights, vector('BNorm', dState)),
    ...where(normWeights, vector('CNorm', dState)),
    matrix('dtProj', dInner, dtRank),
    vector('dtBias', dInner),
    vector('A', dInner, dState),
    vector('D', dInner),
    matrix('outProj', dModel, dInner),
    ...where(projectionBias, vector('outProjBias', dModel)),
  ];
}

export function mambaState({
  dInner,
  dState,
  dConv,
}: Pick<MambaConfig, 'dInner' | 'dState' | 'dConv'>): readonly StateSlot[] {
  return [
    { name: 'conv', shape: [dInner, dConv - 1] },
    { name: 'ssm', shape: [dInner, dState] },
  ];
}
