import type { LayerSnapshot, MambaConfig } from '@mamba/core';
import type { GoldenState } from '../contract.ts';

/** The states of a Mamba block as transformers keeps them, in float32. */
export const mambaGolden: GoldenState<MambaConfig> = {
  tensors: ['conv_state', 'ssm_state'],
  values({ dInner, dConv, dState }, batch, { conv, ssm }, before) {
    return {
      conv_state: {
        shape: [batch, dInner, dConv],
        data: widened(batch * dInner, dConv, conv!, before?.conv),
      },
      ssm_state: { shape: [batch, dInner, dState], data: ssm! },
    };
  },
};

type Values = LayerSnapshot[string];

/**
 * The last dConv inputs of each channel, oldest first. A state keeps only the newest dConv - 1 of them; the oldest one
 * is the oldest of the state one token earlier, and 0 where there was no earlier token.
 */
function widened(channels: number, dConv: number, conv: Values, earlier: Values | undefined): Float64Array {
  const kept = dConv - 1;
  const wide = new Float64Array(channels * dConv);
  for (let channel = 0; channel < channels; channel++) {
    wide[channel * dConv] = earlier?.[channel * kept] ?? 0;
    wide.set(conv.subarray(channel * kept, (channel + 1) * kept), channel * dConv + 1);
  }
  return wide;
}
