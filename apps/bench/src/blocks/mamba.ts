import type { StandaloneMamba } from '@mamba/core';
import { SILU, scanWork } from '../cases/work.ts';
import type { CountWork } from './work.ts';

/** Four products, a convolution and a scan. */
export const mambaWork: CountWork<'mamba'> = (config, { dModel, tokens, batch, bytesPerValue, bytesPerWeight }) => {
  const { dInner, dState, dConv, dtRank } = config;
  const matrices = 2 * dInner * dModel + (dtRank + 2 * dState) * dInner + dInner * dtRank + dModel * dInner;
  const vectors = dInner * (dConv + 1) + dInner * (dState + 2);
  const state = batch * dInner * (dConv - 1 + dState);
  const scan = scanWork({ batch: 1, length: tokens, dim: dInner, state: dState }, 0).operations;
  return {
    operations: tokens * (2 * matrices + dInner * (2 * dConv + SILU)) + scan,
    bytes: matrices * bytesPerWeight + (vectors + 2 * state + 2 * tokens * dModel) * bytesPerValue,
  };
};

/** The extents of a block by which its results are told apart. */
export function mambaShape({ dModel, dInner, dState }: StandaloneMamba) {
  return { dModel, dInner, dState };
}

/** A block in words, from the extents of its results. */
export function mambaTitle({ dModel, dInner }: Readonly<Record<string, unknown>>): string {
  return `one Mamba block, d_model ${dModel}, d_inner ${dInner}`;
}
