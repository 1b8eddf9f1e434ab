import type { DeltaMap } from '@mamba/lm';
import { openness, position, type Range } from './summary.ts';

/** How much each token was let in, from 0 to 1: by one layer, or by all where `layer` is negative. */
export function shades(map: DeltaMap, spans: readonly Range[], layer: number): ArrayLike<number> {
  if (layer < 0) return openness(map);
  return Array.from(map.layers[layer]!, (value) => position(value, spans[layer]!));
}
