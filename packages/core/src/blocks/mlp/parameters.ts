import type { BlockParameter } from '../contract.ts';
import { isGated, type MlpConfig } from './config.ts';

/** The weights of a feed-forward block. `T` is a Tensor, or anything else that is kept under these names. */
export type MlpWeights<T> = {
  /** `[dHidden, dModel]`: the projection that is activated, in a gated block alone. */
  readonly gate?: T | undefined;
  /** `[dHidden]` */
  readonly gateBias?: T | undefined;
  /** `[dHidden, dModel]`: the projection that the gate multiplies; without a gate, the one that is activated. */
  readonly up: T;
  /** `[dHidden]` */
  readonly upBias?: T | undefined;
  /** `[dModel, dHidden]` */
  readonly down: T;
  /** `[dModel]` */
  readonly downBias?: T | undefined;
};

type Key = keyof MlpWeights<unknown>;

export function mlpParameters(config: MlpConfig, dModel: number): readonly BlockParameter[] {
  const { dHidden, bias } = config;
  const projection = (key: Key & ('gate' | 'up' | 'down'), outputs: number, inputs: number): BlockParameter[] => [
    { key, shape: [outputs, inputs], role: 'matrix', ...(key === 'down' && { training: { residual: true } }) },
    ...(bias === false
      ? []
      : [{ key: `${key}Bias`, shape: [outputs], role: 'vector', optional: bias === undefined } as const]),
  ];
  return [
    ...(isGated(config) ? projection('gate', dHidden, dModel) : []),
    ...projection('up', dHidden, dModel),
    ...projection('down', dModel, dHidden),
  ];
}
