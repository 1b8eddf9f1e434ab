import { cacheBytesPerToken } from '@mamba/bench/cache';
import type { ModelConfig } from '@mamba/core';
import { stateBytes, stateGrows } from '@mamba/core/toolkit';
import { bytes, count } from '../format.ts';
import { growingState } from './cache.ts';
import { Curve, type Stretch } from './curve.tsx';

interface MemoryCurveProps {
  readonly config: ModelConfig;
  /** Tokens so far. */
  readonly length: number;
  /** Bytes of the state now, as the backend counts them. */
  readonly state: number;
}

/** The bytes that a model remembers over its tokens, beside the cache of a Transformer of its size. */
export function MemoryCurve({ config, length, state }: MemoryCurveProps) {
  const grows = stateGrows(config);
  const cache = cacheBytesPerToken(config) * length;
  const own: Stretch = grows
    ? growingState(config, length)
    : [
        [0, state],
        [length, state],
      ];
  const now = bytes(grows ? stateBytes(config, length) : state);
  return (
    <Curve
      title="Memory"
      description={
        grows
          ? `The state, with the cache of its attention blocks, has ${now} after ${count(length, 'token')}; a Transformer's cache would have ${bytes(cache)}.`
          : `The state has ${now} at any length; a Transformer's cache would have ${bytes(cache)}.`
      }
      lines={[
        { name: `${grows ? 'state with its own cache' : 'state'}: ${now}`, kind: 'first', stretches: [own] },
        {
          name: `a Transformer’s cache: ${bytes(cache)}`,
          kind: 'dashed',
          stretches: [
            [
              [0, 0],
              [length, cache],
            ],
          ],
        },
      ]}
      formatX={(x) => count(Math.round(x), 'token')}
      formatY={bytes}
    />
  );
}

/** What of the curve is computed, and where the cache begins to be the larger one. */
export function MemoryNote({ config, state }: Pick<MemoryCurveProps, 'config' | 'state'>) {
  const perToken = cacheBytesPerToken(config);
  return (
    <p class="hint">
      The cache is computed, not measured: a Transformer of this width and about as many weights keeps {bytes(perToken)}{' '}
      for each token, in float32.{' '}
      {stateGrows(config)
        ? 'This model has attention blocks, which keep a cache of their own. Its line is computed as well, without the room that the backend keeps for the next tokens.'
        : `This model needs more than that cache only up to ${count(Math.floor(state / perToken), 'token')}.`}
    </p>
  );
}
