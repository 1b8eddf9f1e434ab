/**
 * The block of Performer: projections of queries, keys and values, the attention, and a projection back. The random
 * projection follows from the config's seed; it is no parameter, and is not trained.
 */
import { type BlockDefinition, defineBlock } from '@mamba/core';
import { checkBoolean, checkInteger, checkOptions, scoped } from '@mamba/core/toolkit';
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
import { performer } from './performer.ts';
import { orthogonalProjection } from './projection.ts';

declare module '@mamba/core' {
  interface BlockKinds {
    performer: PerformerConfig;
  }
}

/** The config of a block of kind `performer` (arXiv 2009.14794). */
export interface PerformerConfig extends HeadsConfig {
  /** Random features of a head. */
  readonly features: number;
  /** Default 0. */
  readonly seed?: number | undefined;
  /** Whether a token sees only those before it, and itself. Otherwise a call takes whole sequences. Default true. */
  readonly causal?: boolean | undefined;
}

/** Makes the kind `performer` known. Call it before the first model with such blocks is made. */
export function definePerformer(): void {
  defineBlock('performer', definition);
}

const definition: BlockDefinition<PerformerConfig> = {
  defaults: { seed: 0, causal: true },
  check(origin, config, dModel) {
    checkOptions(origin, config, ['kind', 'heads', 'headDim', 'features', 'seed', 'causal']);
    checkHeads(origin, config, dModel);
    checkInteger(`${origin}.features`, config.features, 1, 2 ** 16);
    if (config.seed !== undefined) checkInteger(`${origin}.seed`, config.seed, 0, 2 ** 31 - 1);
    if (config.causal !== undefined) checkBoolean(`${origin}.causal`, config.causal);
  },
  parameters: (config, dModel) => headsParameters(config, dModel),
  state: (config, dModel) =>
    config.causal === false
      ? []
      : [{ name: 'ssm', shape: [config.heads, headDimOf(config, dModel) + 1, config.features] }],
  compose(backend, config, given) {
    const { heads, features, seed = 0, causal = true } = config;
    const weights = given as HeadsWeights;
    let rows: Float32Array | undefined;
    return {
      forward: (call) =>
        scoped((scope) => {
          if (!causal) checkWhole('performer that is not causal', call);
          const [q, k, v] = project(backend, scope, call.x, weights, heads);
          const headDim = q.shape[3]!;
          rows ??= orthogonalProjection(features, headDim, seed);
          const projection = scope.own(backend.upload({ dtype: 'float32', shape: [features, headDim], data: rows }));
          const options = { causal, initialState: call.state?.ssm, resets: call.resets };
          const { y, lastState } = performer(backend, q, k, v, projection, options);
          scope.own(y);
          scope.own(lastState);
          const output = projectBack(backend, scope, y, weights);
          return { y: output, state: causal ? { ssm: scope.release(lastState) } : {} };
        }),
    };
  },
};
