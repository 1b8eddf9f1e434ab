/** The block of Linformer, for whole sequences up to a length: projections, the attention, and a projection back. */
import { type BlockDefinition, defineBlock, type Tensor } from '@mamba/core';
import { checkInteger, checkOptions, scoped } from '@mamba/core/toolkit';
import {
  checkHeads,
  checkWhole,
  type HeadsConfig,
  type HeadsWeights,
  headsParameters,
  project,
  projectBack,
} from '../shared/heads-block.ts';
import { linformer } from './linformer.ts';

declare module '@mamba/core' {
  interface BlockKinds {
    linformer: LinformerConfig;
  }
}

/** The config of a block of kind `linformer` (arXiv 2006.04768). */
export interface LinformerConfig extends HeadsConfig {
  /** Keys and values that those of all tokens become. */
  readonly rank: number;
  /** Tokens of the longest sequence. */
  readonly longest: number;
}

/** Makes the kind `linformer` known. Call it before the first model with such blocks is made. */
export function defineLinformer(): void {
  defineBlock('linformer', definition);
}

/** E and F are `[rank, longest]`, for keys and for values. */
type Weights = HeadsWeights & { readonly E: Tensor; readonly F: Tensor };

const definition: BlockDefinition<LinformerConfig> = {
  check(origin, config, dModel) {
    checkOptions(origin, config, ['kind', 'heads', 'headDim', 'rank', 'longest']);
    checkHeads(origin, config, dModel);
    checkInteger(`${origin}.rank`, config.rank, 1, 2 ** 20);
    checkInteger(`${origin}.longest`, config.longest, 1, 2 ** 24);
  },
  parameters: (config, dModel) => [
    ...headsParameters(config, dModel),
    ...['E', 'F'].map(
      (key) => ({ key, shape: [config.rank, config.longest], role: 'vector', training: spread(config) }) as const,
    ),
  ],
  state: () => [],
  compose(backend, { heads }, given) {
    const weights = given as Weights;
    return {
      forward: (call) =>
        scoped((scope) => {
          checkWhole('linformer', call);
          const [q, k, v] = project(backend, scope, call.x, weights, heads);
          const y = scope.own(linformer(backend, q, k, v, weights.E, weights.F));
          return { y: projectBack(backend, scope, y, weights), state: {} };
        }),
    };
  },
};

/** Normal numbers of variance 1 / rank (theorem 2), with weight decay, as other matrices have it. */
function spread({ rank }: LinformerConfig) {
  return { initial: { kind: 'normal', deviation: rank ** -0.5 }, decay: true } as const;
}
