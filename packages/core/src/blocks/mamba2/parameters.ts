import type { BlockParameter, InitialValues, ParameterTraining, StateSlot } from '../contract.ts';
import { type Mamba2Config, mamba2Widths } from './config.ts';

/**
 * The weights of a Mamba-2 block, with dInner = heads * headDim. `T` is a Tensor, or anything else that is kept under
 * these names.
 */
export type Mamba2Weights<T> = {
  /** `[2 dInner + 2 groups dState + heads, dModel]`: the rows of z, x, B, C and dt. */
  readonly inProj: T;
  /** `[2 dInner + 2 groups dState + heads]` */
  readonly inProjBias?: T | undefined;
  /** `[dInner + 2 groups dState, dConv]`: the rows of x, B and C. */
  readonly conv: T;
  /** `[dInner + 2 groups dState]` */
  readonly convBias?: T | undefined;
  /** `[heads]`, which is added to dt before softplus. */
  readonly dtBias: T;
  /** `[heads]`, negative: `-exp(A_log)` of a checkpoint. */
  readonly A: T;
  /** `[heads]` */
  readonly D: T;
  /** `[dInner]`: weight of the gated norm, where there is one. */
  readonly norm?: T | undefined;
  /** `[dModel, dInner]` */
  readonly outProj: T;
  /** `[dModel]` */
  readonly outProjBias?: T | undefined;
};

type Key = keyof Mamba2Weights<unknown>;

/** The parameters, which begin as upstream's do: A uniform in [-16, -1], and steps log-uniform in [0.001, 0.1]. */
export function mamba2Parameters(config: Mamba2Config, dModel: number): readonly BlockParameter[] {
  const { heads, dConv, norm = true, projectionBias, convBias } = config;
  const { dInner, conv, projected } = mamba2Widths(config);
  const vector = (key: Key, shape: readonly number[], training?: ParameterTraining): BlockParameter => ({
    key,
    shape,
    role: 'vector',
    training,
  });
  /** The parameter if it is present; if that is undefined, the parameter as an optional one. */
  const where = (present: boolean | undefined, parameter: BlockParameter): readonly BlockParameter[] => {
    if (present === undefined) return [{ ...parameter, optional: true }];
    return present ? [parameter] : [];
  };
  const taps: InitialValues = { kind: 'uniform', bound: 1 / Math.sqrt(dConv) };
  return [
    { key: 'inProj', shape: [projected, dModel], role: 'matrix' },
    ...where(projectionBias, vector('inProjBias', [projected])),
    vector('conv', [conv, dConv], { initial: taps, decay: true }),
    ...where(convBias, vector('convBias', [conv], { initial: taps })),
    vector('dtBias', [heads], { initial: { kind: 'steps', smallest: 1e-3, largest: 1e-1 } }),
    vector('A', [heads], { form: 'negative-exp', initial: (_, random) => -(1 + 15 * random()) }),
    vector('D', [heads], { initial: ONE }),
    ...where(norm, vector('norm', [dInner], { initial: ONE })),
    { key: 'outProj', shape: [dModel, dInner], role: 'matrix', training: { residual: true } },
    ...where(projectionBias, vector('outProjBias', [dModel])),
  ];
}

const ONE: InitialValues = { kind: 'constant', value: 1 };

export function mamba2State(config: Mamba2Config): readonly StateSlot[] {
  const { heads, headDim, dState, dConv } = config;
  return [
    { name: 'conv', shape: [mamba2Widths(config).conv, dConv - 1] },
    { name: 'ssm', shape: [heads, headDim, dState] },
  ];
}
