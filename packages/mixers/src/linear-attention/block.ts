/** The block of linear attention: projections of queries, keys and values, the attention, and a projection back. */
import { type BlockDefinition, defineBlock } from '@mamba/core';
import { checkNumber, checkOptions, scoped } from '@mamba/core/toolkit';
import {
  checkHeads,
  type HeadsConfig,
  type HeadsWeights,
  headDimOf,
  headsParameters,
  project,
  projectBack,
} from '../shared/heads-block.ts';
import { linearAttention } from './linear-attention.ts';

declare module '@mamba/core' {
  interface BlockKinds {
    'linear-attention': LinearAttentionConfig;
  }
}

/** The config of a block of kind `linear-attention` (arXiv 2006.16236). */
export interface LinearAttentionConfig extends HeadsConfig {
  /** Added to the normaliser. Default 1e-6. */
  readonly eps?: number | undefined;
}

/** Makes the kind `linear-attention` known. Call it before the first model with such blocks is made. */
export function defineLinearAttention(): void {
  defineBlock('linear-attention', definition);
}

const definition: BlockDefinition<LinearAttentionConfig> = {
  defaults: { eps: 1e-6 },
  check(origin, config, dModel) {
    checkOptions(origin, config, ['kind', 'heads', 'headDim', 'eps']);
    checkHeads(origin, config, dModel);
    if (config.eps !== undefined) checkNumber(`${origin}.eps`, config.eps, 0, 1);
  },
  parameters: (config, dModel) => headsParameters(config, dModel),
  state(config, dModel) {
    const headDim = headDimOf(config, dModel);
    // The normaliser is one more channel of the values.
    return [{ name: 'ssm', shape: [config.heads, headDim + 1, headDim] }];
  },
  compose(backend, { heads, eps }, given) {
    const weights = given as HeadsWeights;
    return {
      forward: ({ x, state, resets }) =>
        scoped((scope) => {
          const [q, k, v] = project(backend, scope, x, weights, heads);
          const { y, lastState } = linearAttention(backend, q, k, v, { eps, initialState: state?.ssm, resets });
          scope.own(y);
          scope.own(lastState);
          return { y: projectBack(backend, scope, y, weights), state: { ssm: scope.release(lastState) } };
        }),
    };
  },
};
