/**
 * The block of attention whose queries and keys have few channels, so that scores have a low rank and a cache is small.
 * Projections to `rank` channels are those of queries and keys times U and W.
 */
import { type BlockDefinition, defineBlock, invalid } from '@mamba/core';
import { checkInteger, checkOptions, scoped } from '@mamba/core/toolkit';
import { cachedAttention, cacheSlots } from '../shared/cached-attention.ts';
import {
  checkHeads,
  type HeadsConfig,
  type HeadsWeights,
  headDimOf,
  headsParameters,
  project,
  projectBack,
} from '../shared/heads-block.ts';
import { widened } from './low-rank.ts';

declare module '@mamba/core' {
  interface BlockKinds {
    'low-rank': LowRankConfig;
  }
}

/** The config of a block of kind `low-rank`, whose queries and keys have few channels. */
export interface LowRankConfig extends HeadsConfig {
  /** Channels of a head's queries and keys, at most headDim. */
  readonly rank: number;
}

/** Makes the kind `low-rank` known. Call it before the first model with such blocks is made. */
export function defineLowRank(): void {
  defineBlock('low-rank', definition);
}

const definition: BlockDefinition<LowRankConfig> = {
  check(origin, config, dModel) {
    checkOptions(origin, config, ['kind', 'heads', 'headDim', 'rank']);
    checkHeads(origin, config, dModel);
    checkInteger(`${origin}.rank`, config.rank, 1, 2 ** 16);
    const headDim = headDimOf(config, dModel);
    if (config.rank > headDim) throw invalid(`${origin}.rank`, String(config.rank), `at most headDim, ${headDim}`);
  },
  parameters: (config, dModel) => headsParameters(config, dModel, config.rank),
  state: (config, dModel) => cacheSlots(config.heads, { k: config.rank, v: headDimOf(config, dModel) }, undefined),
  compose(backend, { heads, rank }, given) {
    const weights = given as HeadsWeights;
    return {
      forward: (call) =>
        scoped((scope) => {
          const [q, k, v] = project(backend, scope, call.x, weights, heads);
          const wide = v.shape[3]!;
          const { y, state } = cachedAttention(
            backend,
            scope,
            call,
            { q: widened(backend, scope, q, wide), k, v },
            { scale: rank ** -0.5 },
            (keys) => widened(backend, scope, keys, wide),
          );
          const output = projectBack(backend, scope, y, weights);
          for (const tensor of Object.values(state)) scope.release(tensor);
          return { y: output, state };
        }),
    };
  },
};
