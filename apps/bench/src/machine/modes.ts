/** The ways in which the cpu backend's kernels are compiled: each has peaks of its own, and the fastest is no yardstick for the others. */
import type { BackendRecord } from '../schema/report.ts';

/** Plain SIMD; relaxed SIMD, with fused multiply-add; the same through V8's pairing of 128-bit operations into 256-bit ones. */
export const MODES = ['plain', 'relaxed', 'revectorized'] as const;
export type Mode = (typeof MODES)[number];

/** Where the cpu backend runs as a candidate of its own: in its modes in Node, and in Chromium, which takes relaxed SIMD. */
export const PLACES = [...MODES, 'chromium'] as const;
export type Place = (typeof PLACES)[number];

/** Of a backend that says how its kernels are compiled; plain where it says nothing. */
export function modeOf({ details = {} }: Pick<BackendRecord, 'details'>): Mode {
  if (details.revectorized === true) return 'revectorized';
  return details.build === 'relaxed' ? 'relaxed' : 'plain';
}
