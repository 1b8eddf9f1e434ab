/**
 * The modes in which the cpu backend's kernels are compiled. Each has limits of its own, and is compared with those
 * alone.
 */
import type { BackendRecord } from '../schema/report.ts';

/**
 * Plain SIMD; relaxed SIMD, with fused multiply-add; relaxed SIMD whose 128-bit operations V8 pairs into 256-bit ones.
 */
export const MODES = ['plain', 'relaxed', 'revectorized'] as const;
export type Mode = (typeof MODES)[number];

/** The places where the cpu backend runs as a candidate: its modes in Node, and Chromium, with relaxed SIMD. */
export const PLACES = [...MODES, 'chromium'] as const;
export type Place = (typeof PLACES)[number];

/** The options of the cpu backend in each place. */
export const PLACE_OPTIONS = {
  plain: { build: 'simd' },
  relaxed: { build: 'relaxed' },
  revectorized: { build: 'relaxed', revectorize: true },
  chromium: { build: 'relaxed' },
} as const satisfies Record<Place, object>;

/** The mode of a backend, from its details; plain where they do not tell. */
export function modeOf({ details = {} }: Pick<BackendRecord, 'details'>): Mode {
  if (details.revectorized === true) return 'revectorized';
  return details.build === 'relaxed' ? 'relaxed' : 'plain';
}
