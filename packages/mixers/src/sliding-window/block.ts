/**
 * The block of attention to a window of tokens and to the first ones (arXiv 2004.05150, 2309.17453), or to every so
 * many-th token (arXiv 1904.10509), by the operation `attention`: time and memory are linear in length.
 */
import { type BlockDefinition, defineBlock, invalid } from '@mamba/core';
import { checkInteger, checkOptions, scoped } from '@mamba/core/toolkit';
import { cachedAttention, cacheSlots } from '../shared/cached-attention.ts';
import {
  checkHeads,
  checkWhole,
  type HeadsConfig,
  type HeadsWeights,
  headDimOf,
  headsParameters,
  project,
  projectBack,
} from '../shared/heads-block.ts';
import { stridedAttention } from './strided.ts';

declare module '@mamba/core' {
  interface BlockKinds {
    'sliding-window': SlidingWindowConfig;
  }
}

/** The config of a block of kind `sliding-window`: attention to a window, to strided tokens, or to global ones. */
export interface SlidingWindowConfig extends HeadsConfig {
  /** Tokens that a token sees, itself and those before it. It or `stride` is needed. */
  readonly window?: number | undefined;
  /** The first tokens of a sequence, which all see. Default 0: the cache then holds no more than the window. */
  readonly globalTokens?: number | undefined;
  /** In place of a window: a token sees itself and those a multiple of this before it. Takes whole sequences. */
  readonly stride?: number | undefined;
}

/** Makes the kind `sliding-window` known. Call it before the first model with such blocks is made. */
export function defineSlidingWindow(): void {
  defineBlock('sliding-window', definition);
}

const definition: BlockDefinition<SlidingWindowConfig> = {
  check(origin, config, dModel) {
    checkOptions(origin, config, ['kind', 'heads', 'headDim', 'window', 'globalTokens', 'stride']);
    checkHeads(origin, config, dModel);
    if ((config.window === undefined) === (config.stride === undefined))
      throw invalid(`${origin}.window`, `window ${config.window}, stride ${config.stride}`, 'one of the two');
    for (const key of ['window', 'stride'] as const)
      if (config[key] !== undefined) checkInteger(`${origin}.${key}`, config[key], 1, 2 ** 30);
    if (config.globalTokens === undefined) return;
    checkInteger(`${origin}.globalTokens`, config.globalTokens, 0, 2 ** 30);
    if (config.stride !== undefined)
      throw invalid(`${origin}.globalTokens`, 'global tokens with a stride', 'a window', 'Leave them out.');
  },
  parameters: (config, dModel) => headsParameters(config, dModel),
  state(config, dModel) {
    if (config.stride !== undefined) return [];
    const headDim = headDimOf(config, dModel);
    return cacheSlots(config.heads, { k: headDim, v: headDim }, keptOf(config));
  },
  compose(backend, config, given) {
    const { heads, window, globalTokens, stride } = config;
    const weights = given as HeadsWeights;
    return {
      forward: (call) =>
        scoped((scope) => {
          const [q, k, v] = project(backend, scope, call.x, weights, heads);
          if (stride !== undefined) {
            checkWhole('sliding-window with a stride', call);
            const y = scope.own(stridedAttention(backend, q, k, v, { stride }));
            return { y: projectBack(backend, scope, y, weights), state: {} };
          }
          const options = { window, globalTokens, kept: keptOf(config) };
          const { y, state } = cachedAttention(backend, scope, call, { q, k, v }, options);
          const output = projectBack(backend, scope, y, weights);
          for (const tensor of Object.values(state)) scope.release(tensor);
          return { y: output, state };
        }),
    };
  },
};

/** The tokens that a cache holds: those of the window, or all where the first ones have to stay. */
function keptOf({ window, globalTokens = 0 }: SlidingWindowConfig): number | undefined {
  return globalTokens === 0 ? window : undefined;
}
