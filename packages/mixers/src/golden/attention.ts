import { invalid } from '@mamba/core';
import { linformer } from '../linformer/linformer.ts';
import { lowRankAttention } from '../low-rank/low-rank.ts';
import { longformer } from '../sliding-window/longformer.ts';
import type { GoldenCase, GoldenComposition } from './composition.ts';

export const goldenLinformer: GoldenComposition = {
  required: ['q', 'k', 'v', 'E', 'F'],
  compute: (backend, { q, k, v, E, F }, given) => ({
    y: linformer(backend, q!, k!, v!, E!, F!, { scale: numberOf(given, 'scale') }),
  }),
};

export const goldenLowRank: GoldenComposition = {
  required: ['q', 'k', 'v', 'U', 'W'],
  compute: (backend, { q, k, v, U, W }, given) => ({
    y: lowRankAttention(backend, q!, k!, v!, U!, W!, {
      scale: numberOf(given, 'scale'),
      causal: flagOf(given, 'causal'),
    }),
  }),
};

export const goldenLongformer: GoldenComposition = {
  required: ['q', 'k', 'v', 'global_mask'],
  compute: (backend, { q, k, v }, given) => {
    const { shape, data } = given.inputs.global_mask!;
    return {
      y: longformer(backend, q!, k!, v!, {
        radius: numberOf(given, 'radius'),
        causal: flagOf(given, 'causal'),
        scale: numberOf(given, 'scale'),
        isGlobal: (row, token) => data[row * shape[1]! + token] !== 0,
      }),
    };
  },
};

/** @throws MambaError `invalid-argument` where the option is no number. */
export function numberOf({ options }: GoldenCase, key: string): number {
  const value = options[key];
  if (typeof value !== 'number') throw invalid(`options.${key}`, String(value), 'a number');
  return value;
}

/** @throws MambaError `invalid-argument` where the option is no boolean. */
export function flagOf({ options }: GoldenCase, key: string): boolean {
  const value = options[key];
  if (typeof value !== 'boolean') throw invalid(`options.${key}`, String(value), 'true or false');
  return value;
}
