import type { BlockParameter, ParameterTraining, StateSlot } from '../contract.ts';
import { type AttentionConfig, kvHeadsOf } from './config.ts';

/** The weights of an attention block. `T` is a Tensor, or anything else that is kept under these names. */
export type AttentionWeights<T> = {
  /** `[heads * headDim, dModel]` */
  readonly qProj: T;
  /** `[heads * headDim]` */
  readonly qProjBias?: T | undefined;
  /** `[kvHeads * headDim, dModel]` */
  readonly kProj: T;
  /** `[kvHeads * headDim]` */
  readonly kProjBias?: T | undefined;
  /** `[kvHeads * headDim, dModel]` */
  readonly vProj: T;
  /** `[kvHeads * headDim]` */
  readonly vProjBias?: T | undefined;
  /** `[headDim]`, with `qkNormEps` alone */
  readonly qNorm?: T | undefined;
  /** `[headDim]`, with `qkNormEps` alone */
  readonly kNorm?: T | undefined;
  /** `[dModel, heads * headDim]` */
  readonly outProj: T;
  /** `[dModel]` */
  readonly outProjBias?: T | undefined;
};

type Key = keyof AttentionWeights<unknown>;

export function attentionParameters(config: AttentionConfig, dModel: number): readonly BlockParameter[] {
  const { heads, headDim, bias, outBias, qkNormEps } = config;
  const [inner, kvInner] = [heads * headDim, kvHeadsOf(config) * headDim];
  const projection = (
    key: Key & `${string}Proj`,
    outputs: number,
    inputs: number,
    biased: boolean | undefined,
    training?: ParameterTraining,
  ): BlockParameter[] => [
    { key, shape: [outputs, inputs], role: 'matrix', training },
    ...(biased === false
      ? []
      : [{ key: `${key}Bias`, shape: [outputs], role: 'vector', optional: biased === undefined } as const]),
  ];
  const norm = (key: Key & `${string}Norm`): BlockParameter[] =>
    qkNormEps === undefined
      ? []
      : [{ key, shape: [headDim], role: 'vector', training: { initial: { kind: 'constant', value: 1 } } }];
  return [
    ...projection('qProj', inner, dModel, bias),
    ...projection('kProj', kvInner, dModel, bias),
    ...projection('vProj', kvInner, dModel, bias),
    ...norm('qNorm'),
    ...norm('kNorm'),
    ...projection('outProj', dModel, inner, outBias, { residual: true }),
  ];
}

/** A window limits the cache, unless the first tokens of a sequence have to stay in it. */
export function attentionState(config: AttentionConfig): readonly StateSlot[] {
  const { headDim, window, globalTokens = 0 } = config;
  const shape = ['length', kvHeadsOf(config) * headDim] as const;
  const limit = window === undefined || globalTokens > 0 ? {} : { window };
  return [
    { name: 'k', shape, ...limit },
    { name: 'v', shape, ...limit },
    // Tokens that the row had been fed when its present sequence began.
    { name: 'begun', shape: [1] },
  ];
}
