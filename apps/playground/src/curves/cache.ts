import type { ModelConfig } from '@mamba/core';
import { stateBytes } from '@mamba/core/toolkit';
import type { Stretch } from './curve.tsx';

/** Places at which a state that grows is computed: it may stop growing between them, where a window is full. */
const PLACES = 64;

/** The bytes of a state that grows, over the tokens up to `length`: of its fixed part and of the model's own cache. */
export function growingState(config: ModelConfig, length: number): Stretch {
  return Array.from({ length: PLACES + 1 }, (_, place) => {
    const tokens = Math.round((place / PLACES) * length);
    return [tokens, stateBytes(config, tokens)] as const;
  });
}
