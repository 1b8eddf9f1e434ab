import { cosine } from '@mamba/train';
import type { Tolerance } from '../../cases/case.ts';
import { type GoldenProcedure, numberOf } from './golden-procedure.ts';

/** The learning rates of a warm-up and a cosine, which no backend computes. */
export const cosineSchedule: GoldenProcedure = {
  required: [],
  tolerance: { relative: 1e-12, reason: 'float64 throughout' } satisfies Tolerance,
  async run(given) {
    const [steps, first] = [numberOf(given, 'steps'), numberOf(given, 'first')];
    const [peak, end] = [numberOf(given, 'max_lr'), numberOf(given, 'min_lr')];
    const [warmup, total] = [numberOf(given, 'warmup'), numberOf(given, 'total')];
    const rate = (step: number): number =>
      step < warmup ? (peak * (step + first)) / warmup : cosine(step, { peak, end, warmup, total });
    return { out: { lr: { shape: [steps], data: Array.from({ length: steps }, (_, step) => rate(step)) } }, grad: {} };
  },
};
