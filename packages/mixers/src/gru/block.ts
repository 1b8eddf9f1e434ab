/** The block of a GRU: out_proj(gru(x)). The recurrence is composed of operations, a step a token. */
import { type BlockDefinition, defineBlock, type Tensor } from '@mamba/core';
import { scoped } from '@mamba/core/toolkit';
import { checkRecurrent, type RecurrentConfig, recurrentParameters } from '../shared/recurrent-block.ts';
import { type GruWeights, gru } from './gru.ts';

declare module '@mamba/core' {
  interface BlockKinds {
    gru: GruConfig;
  }
}

/** The config of a block of kind `gru`. */
export type GruConfig = RecurrentConfig;

/** Makes the kind `gru` known. Call it before the first model with such blocks is made. */
export function defineGru(): void {
  defineBlock('gru', definition);
}

type Weights = GruWeights<Tensor> & { readonly outProj: Tensor };

const definition: BlockDefinition<GruConfig> = {
  defaults: { bias: true },
  check: checkRecurrent,
  parameters: (config, dModel) => recurrentParameters(config, dModel, 3),
  state: ({ dHidden }) => [{ name: 'h', shape: [dHidden] }],
  compose(backend, _, weights) {
    const { outProj, ...gates } = weights as Weights;
    return {
      forward: ({ x, state, resets }) =>
        scoped((scope) => {
          const { y, lastState } = gru(backend, x, gates, { initialState: state && { h: state.h! }, resets });
          scope.own(y);
          scope.own(lastState.h);
          return { y: backend.linear(y, outProj), state: { h: scope.release(lastState.h) } };
        }),
    };
  },
};
