/**
 * The block of softmax attention that materialises its matrix, for whole sequences: the yardstick of memory and numbers
 * beside the kind `attention`, whose memory is linear in length.
 */
import { type BlockDefinition, defineBlock } from '@mamba/core';
import { checkBoolean, checkOptions, scoped } from '@mamba/core/toolkit';
import {
  checkHeads,
  checkWhole,
  type HeadsConfig,
  type HeadsWeights,
  headsParameters,
  project,
  projectBack,
} from '../shared/heads-block.ts';
import { naiveAttention } from './naive.ts';

declare module '@mamba/core' {
  interface BlockKinds {
    'softmax-attention': SoftmaxAttentionConfig;
  }
}

/** The config of a block of kind `softmax-attention`. */
export interface SoftmaxAttentionConfig extends HeadsConfig {
  /** Whether a token sees only those before it, and itself. Default true. */
  readonly causal?: boolean | undefined;
}

/** Makes the kind `softmax-attention` known. Call it before the first model with such blocks is made. */
export function defineSoftmaxAttention(): void {
  defineBlock('softmax-attention', definition);
}

const definition: BlockDefinition<SoftmaxAttentionConfig> = {
  defaults: { causal: true },
  check(origin, config, dModel) {
    checkOptions(origin, config, ['kind', 'heads', 'headDim', 'causal']);
    checkHeads(origin, config, dModel);
    if (config.causal !== undefined) checkBoolean(`${origin}.causal`, config.causal);
  },
  parameters: (config, dModel) => headsParameters(config, dModel),
  state: () => [],
  compose(backend, { heads, causal }, given) {
    const weights = given as HeadsWeights;
    return {
      forward: (call) =>
        scoped((scope) => {
          checkWhole('softmax-attention', call);
          const [q, k, v] = project(backend, scope, call.x, weights, heads);
          const y = scope.own(naiveAttention(backend, q, k, v, { causal }));
          return { y: projectBack(backend, scope, y, weights), state: {} };
        }),
    };
  },
};
