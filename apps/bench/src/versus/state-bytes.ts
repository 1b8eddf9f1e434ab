import type { ModelConfig } from '@mamba/core';
import { modelSlots } from '@mamba/core/toolkit';

/** Bytes of one sequence's state in float32 after so many tokens, by the slots of the model. */
export function stateBytes(config: ModelConfig, tokens: number): number {
  const slots = modelSlots(config).flat();
  return slots.reduce((sum, { shape, window = tokens }) => {
    const extents = shape.map((extent) => (extent === 'length' ? Math.min(tokens, window) : extent));
    return sum + 4 * extents.reduce((product, extent) => product * extent, 1);
  }, 0);
}
