import type { BlockParameter } from '../contract.ts';
import { isGated, type MlpConfig } from './config.ts';

/** A feed-forward block's weights. `T` is a Tensor, or whatever else goes by these names. */
export type MlpWeights<T> = {
  /** `[dHidden, dModel]`, where gated: what is activated. */
  readonly gate?: T | undefined;
  /** `[dHidden]` */
  readonly gateBias?: T | undefined;
  /** `[dHidden, dModel]`: what the gate multiplies; where not gated, what is activated. */
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
    { key, shape: [outputs, inputs], role: 'matrix' },
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
