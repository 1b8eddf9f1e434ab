import { invalid } from '@mamba/core';
import { checkInteger, checkNumber, checkOneOf, checkOptions } from '@mamba/core/toolkit';

/** The learning rate of each step. */
export interface ScheduleOptions {
  /** The largest learning rate. */
  readonly peak: number;
  /** `cosine` falls from the peak to `end` by half a period; `constant` stays at the peak. Default `cosine`. */
  readonly kind?: 'cosine' | 'constant' | undefined;
  /** Number of steps that rise linearly to the peak. Default 0. */
  readonly warmup?: number | undefined;
  /** The step at which a cosine reaches `end`, where it stays. */
  readonly total: number;
  /** The last learning rate of a cosine. Default 0. */
  readonly end?: number | undefined;
}

/**
 * The learning rate of each step, counted from 0: `peak (step + 1) / warmup` before `warmup`, and from there to `total`
 * `end + (peak - end) (1 + cos(π (step - warmup) / (total - warmup))) / 2`.
 * @throws MambaError `invalid-argument`
 */
export function schedule(options: ScheduleOptions): (step: number) => number {
  checkOptions('schedule', options, ['peak', 'kind', 'warmup', 'total', 'end']);
  const { peak, kind = 'cosine', warmup = 0, total, end = 0 } = options;
  checkNumber('schedule.peak', peak, 0, Number.MAX_VALUE);
  checkOneOf('schedule.kind', kind, ['cosine', 'constant']);
  checkInteger('schedule.warmup', warmup, 0);
  checkInteger('schedule.total', total, 1);
  checkNumber('schedule.end', end, 0, peak);
  if (kind === 'cosine' && warmup > total)
    throw invalid('schedule.warmup', String(warmup), `at most ${total}, the number of steps`);
  return (step) => {
    if (step < warmup) return (peak * (step + 1)) / warmup;
    return kind === 'constant' ? peak : cosine(step, { peak, end, warmup, total });
  };
}

/** Half a period of a cosine: `peak` at `warmup`, `end` from `total` on. */
export function cosine(
  step: number,
  {
    peak,
    end,
    warmup,
    total,
  }: { readonly peak: number; readonly end: number; readonly warmup: number; readonly total: number },
): number {
  if (step >= total) return end;
  return end + ((peak - end) * (1 + Math.cos((Math.PI * (step - warmup)) / (total - warmup)))) / 2;
}
