/**
 * The block of Reformer's attention, for whole sequences: projections of queries, which are the keys too, and of
 * values, the attention, and a projection back. The rotations follow from the config's seed, and are not trained.
 */
import { type BlockDefinition, defineBlock, invalid, type Tensor } from '@mamba/core';
import { checkInteger, checkOptions, scoped } from '@mamba/core/toolkit';
import { checkHeads, checkWhole, type HeadsConfig, headDimOf, projectBack } from '../shared/heads-block.ts';
import { Random } from '../shared/random.ts';
import { splitHeads } from '../shared/tensors.ts';
import { lshAttention } from './lsh-attention.ts';

declare module '@mamba/core' {
  interface BlockKinds {
    reformer: ReformerConfig;
  }
}

/** The config of a block of kind `reformer` (arXiv 2001.04451). */
export interface ReformerConfig extends HeadsConfig {
  /** Buckets of a round, an even number. */
  readonly buckets: number;
  /** Hashes of each token. Default 1. */
  readonly rounds?: number | undefined;
  /** Tokens of a chunk. Default 64. */
  readonly chunk?: number | undefined;
  /** Default 0. */
  readonly seed?: number | undefined;
}

/** Makes the kind `reformer` known. Call it before the first model with such blocks is made. */
export function defineReformer(): void {
  defineBlock('reformer', definition);
}

/** Projections as in the other blocks with heads; keys have none of their own. */
type Weights = { readonly qProj: Tensor; readonly vProj: Tensor; readonly outProj: Tensor };

const definition: BlockDefinition<ReformerConfig> = {
  defaults: { rounds: 1, chunk: 64, seed: 0 },
  check(origin, config, dModel) {
    checkOptions(origin, config, ['kind', 'heads', 'headDim', 'buckets', 'rounds', 'chunk', 'seed']);
    checkHeads(origin, config, dModel);
    checkInteger(`${origin}.buckets`, config.buckets, 2, 2 ** 20);
    if (config.buckets % 2 !== 0) throw invalid(`${origin}.buckets`, String(config.buckets), 'an even number');
    for (const key of ['rounds', 'chunk'] as const)
      if (config[key] !== undefined) checkInteger(`${origin}.${key}`, config[key], 1, 2 ** 20);
    if (config.seed !== undefined) checkInteger(`${origin}.seed`, config.seed, 0, 2 ** 31 - 1);
  },
  parameters(config, dModel) {
    const inner = config.heads * headDimOf(config, dModel);
    return [
      { key: 'qProj', shape: [inner, dModel], role: 'matrix' },
      { key: 'vProj', shape: [inner, dModel], role: 'matrix' },
      { key: 'outProj', shape: [dModel, inner], role: 'matrix', training: { residual: true } },
    ];
  },
  state: () => [],
  compose(backend, { heads, buckets, rounds = 1, chunk = 64, seed = 0 }, given) {
    const { qProj, vProj, outProj } = given as Weights;
    return {
      forward: (call) =>
        scoped((scope) => {
          checkWhole('reformer', call);
          const q = splitHeads(backend, scope, scope.own(backend.linear(call.x, qProj)), heads);
          const v = splitHeads(backend, scope, scope.own(backend.linear(call.x, vProj)), heads);
          const random = new Random(seed);
          const shape = [rounds, q.shape[3]!, buckets / 2] as const;
          const data = Float32Array.from({ length: shape[0] * shape[1] * shape[2] }, () => random.normal());
          const rotations = scope.own(backend.upload({ dtype: 'float32', shape, data }));
          const { y, buckets: ids } = lshAttention(backend, q, v, rotations, { chunk });
          scope.own(y);
          scope.own(ids);
          return { y: projectBack(backend, scope, y, { outProj }), state: {} };
        }),
    };
  },
};
