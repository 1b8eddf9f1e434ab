import { mamba2Widths } from '@mamba/core/toolkit';
import { SILU, ssdOperations } from '../cases/work.ts';
import type { CountWork } from './work.ts';

/** Two products, a convolution, a scan, and a gate with or without a norm. */
export const mamba2Work: CountWork<'mamba2'> = (config, { dModel, tokens, batch, bytesPerValue, bytesPerWeight }) => {
  const { heads, headDim, dState, dConv } = config;
  const { dInner, conv, projected } = mamba2Widths(config);
  const matrices = projected * dModel + dModel * dInner;
  const vectors = conv * (dConv + 1) + 3 * heads + dInner;
  const state = batch * (conv * (dConv - 1) + dInner * dState);
  // The gate and its product; the mean square, the scale and the weight.
  const gate = SILU + 1 + 4;
  return {
    operations:
      tokens * (2 * matrices + conv * (2 * dConv + SILU) + dInner * gate) +
      ssdOperations({ batch: 1, length: tokens, heads, headDim, state: dState }),
    bytes: matrices * bytesPerWeight + (vectors + 2 * state + 2 * tokens * dModel) * bytesPerValue,
  };
};
