/** The procedures that golden files may name, by these names. */
import { adamw } from './adamw.ts';
import { attention } from './attention.ts';
import { clipByNorm } from './clip-by-norm.ts';
import { cosineSchedule } from './cosine-schedule.ts';
import { crossEntropy } from './cross-entropy.ts';
import type { GoldenProcedure } from './golden-procedure.ts';

export const GOLDEN_PROCEDURES: ReadonlyMap<string, GoldenProcedure> = new Map([
  ['cross_entropy', crossEntropy],
  ['adamw', adamw],
  ['clip_by_norm', clipByNorm],
  ['cosine_schedule', cosineSchedule],
  ['attention', attention],
]);
