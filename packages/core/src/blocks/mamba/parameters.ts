import type { Tensor } from '../../contract/tensor.ts';
import type { BlockParameter, InitialValues, ParameterTraining, StateSlot } from '../contract.ts';
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
  const matrix = (key: Key, outputs: number, inputs: number, training?: ParameterTraining): BlockParameter => ({
    key,
    shape: [outputs, inputs],
    role: 'matrix',
    training,
  });
  const vector = (key: Key, shape: readonly number[], training?: ParameterTraining): BlockParameter => ({
    key,
    shape,
    role: 'vector',
    training,
  });
  const taps = uniform(1 / Math.sqrt(dConv));
  /** The parameter if it is present; if that is undefined, the parameter as an optional one. */
  const where = (present: boolean | undefined, parameter: BlockParameter): readonly BlockParameter[] => {
    if (present === undefined) return [{ ...parameter, optional: true }];
    return present ? [parameter] : [];
  };
  return [
    matrix('inProj', 2 * dInner, dModel),
    ...where(projectionBias, vector('inProjBias', [2 * dInner])),
    vector('conv', [dInner, dConv], { initial: taps, decay: true }),
    ...where(convBias, vector('convBias', [dInner], { initial: taps })),
    matrix('xProj', dtRank + 2 * dState, dInner),
    ...where(normWeights, vector('dtNorm', [dtRank], { initial: ONE })),
    ...where(normWeights, vector('BNorm', [dState], { initial: ONE })),
    ...where(normWeights, vector('CNorm', [dState], { initial: ONE })),
    matrix('dtProj', dInner, dtRank, { initial: uniform(1 / Math.sqrt(dtRank)) }),
    vector('dtBias', [dInner], { initial: STEPS }),
    vector('A', [dInner, dState], { form: 'negative-exp', initial: { kind: 'ramp' } }),
    vector('D', [dInner], { initial: ONE }),
    matrix('outProj', dModel, dInner, { residual: true }),
    ...where(projectionBias, vector('outProjBias', [dModel])),
  ];
}

const ONE: InitialValues = { kind: 'constant', value: 1 };
/** Steps of a new block are between these (arXiv 2312.00752, section 3.6). */
const STEPS: InitialValues = { kind: 'steps', smallest: 1e-3, largest: 1e-1 };

function uniform(bound: number): InitialValues {
  return { kind: 'uniform', bound };
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
