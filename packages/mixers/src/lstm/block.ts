/**
 * The block of an LSTM: out_proj(lstm(x)). The projection lets the hidden width differ from the model's, and is the
 * matrix that writes to the residual. The recurrence is composed of operations, a step a token.
 */
import { type BlockDefinition, defineBlock, type Tensor } from '@mamba/core';
import { scoped } from '@mamba/core/toolkit';
import { checkRecurrent, type RecurrentConfig, recurrentParameters } from '../shared/recurrent-block.ts';
import { type LstmWeights, lstm } from './lstm.ts';

declare module '@mamba/core' {
  interface BlockKinds {
    lstm: LstmConfig;
  }
}

/** The config of a block of kind `lstm`. */
export type LstmConfig = RecurrentConfig;

/** Makes the kind `lstm` known. Call it before the first model with such blocks is made. */
export function defineLstm(): void {
  defineBlock('lstm', definition);
}

type Weights = LstmWeights<Tensor> & { readonly outProj: Tensor };

const definition: BlockDefinition<LstmConfig> = {
  defaults: { bias: true },
  check: checkRecurrent,
  parameters: (config, dModel) => recurrentParameters(config, dModel, 4),
  state: ({ dHidden }) => [
    { name: 'h', shape: [dHidden] },
    { name: 'c', shape: [dHidden] },
  ],
  compose(backend, _, weights) {
    const { outProj, ...gates } = weights as Weights;
    return {
      forward: ({ x, state, resets }) =>
        scoped((scope) => {
          const initialState = state && { h: state.h!, c: state.c! };
          const { y, lastState } = lstm(backend, x, gates, { initialState, resets });
          for (const tensor of [y, lastState.h, lastState.c]) scope.own(tensor);
          const projected = backend.linear(y, outProj);
          return { y: projected, state: { h: scope.release(lastState.h), c: scope.release(lastState.c) } };
        }),
    };
  },
};
