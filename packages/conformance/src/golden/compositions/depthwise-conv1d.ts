import { MambaError } from '@mamba/core';
import { checkOneOf } from '@mamba/core/toolkit';
import type { GoldenComposition } from './golden-composition.ts';

/** A depthwise convolution, of which the contract has the causal one. */
export const depthwiseConv1d: GoldenComposition = {
  required: ['x', 'weight'],
  compute(backend, { x, weight, bias }, { options }) {
    const mode = String(options.mode);
    const activation = String(options.activation);
    checkOneOf('depthwise_conv1d.mode', mode, ['causal', 'reversed', 'same']);
    checkOneOf('depthwise_conv1d.activation', activation, ['none', 'silu']);
    if (mode !== 'causal')
      throw new MambaError('unsupported', `the contract has no convolution with the mode ${mode}`, {
        origin: 'depthwise_conv1d.mode',
      });
    const { y, lastState } = backend.causalConv1d(x!, weight!, bias, { activation: activation as 'none' | 'silu' });
    lastState.dispose();
    return { y };
  },
};
