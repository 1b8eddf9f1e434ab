/** The kinds that have a fused form. */
import type { BlockConfig, BlockKind } from '@mamba/core/driver';
import type { Fuse, FusedBlock, StoredWeights } from './fused.ts';
import { fuseMamba } from './mamba.ts';
import { fuseMlp } from './mlp.ts';

const KINDS: { readonly [K in BlockKind]?: Fuse<K> } = { mamba: fuseMamba, mlp: fuseMlp };

/** The names of the kinds that have a fused form. */
export const FUSED_KINDS = Object.keys(KINDS);

/** Returns the fused form of a block; undefined where its kind has none. */
export function fuseBlock<K extends BlockKind>(
  config: BlockConfig<K>,
  weights: StoredWeights,
  dModel: number,
): FusedBlock | undefined {
  const fuse = KINDS[config.kind as K];
  return fuse?.(config, weights, dModel);
}
