/** Sizes that version 1 of state snapshots gives once for all layers, each a Mamba block. */
import type { Shape } from '../../contract/tensor.ts';
import type { MambaConfig } from './config.ts';
import { mambaState } from './parameters.ts';

export type SnapshotSizesV1 = Pick<MambaConfig, 'dInner' | 'dState' | 'dConv'>;

export const SIZES_V1 = ['dInner', 'dState', 'dConv'] as const satisfies readonly (keyof SnapshotSizesV1)[];

/** The shapes of a layer's slots, without the batch. */
export function slotsOfV1(sizes: SnapshotSizesV1): Readonly<Record<string, Shape>> {
  return Object.fromEntries(mambaState(sizes).map(({ name, shape }) => [name, shape as Shape]));
}
