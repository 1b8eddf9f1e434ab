import { isMambaError } from '@mamba/core';
import { checkInteger } from '@mamba/core/toolkit';
import type { RunOptions, Trainer } from './trainer.ts';

/** Something that is done between steps. */
export interface Interval {
  /** It is done after each multiple of this many steps, and after the last step. */
  readonly every: number;
  /** Does it, after this step. Training goes on when it resolves. */
  run(step: number): Promise<void>;
}

/** What is done between steps. */
export interface TrainOptions extends Pick<RunOptions, 'signal' | 'onStep'> {
  readonly evaluate?: Interval | undefined;
  /** Saving, after the evaluation of the same step. An aborted training is saved as well. */
  readonly save?: Interval | undefined;
}

/**
 * Trains to the last step, with evaluations and saves between steps.
 * @throws MambaError `aborted`, after the training was saved; all errors of `Trainer.run`, and those of the intervals.
 */
export async function train(trainer: Trainer, { signal, onStep, evaluate, save }: TrainOptions = {}): Promise<void> {
  for (const [name, interval] of Object.entries({ evaluate, save }))
    if (interval !== undefined) checkInteger(`train.${name}.every`, interval.every, 1);
  let saved = trainer.step;
  try {
    while (trainer.step < trainer.steps) {
      const until = Math.min(...[evaluate, save].map((interval) => nextStop(trainer, interval)));
      await trainer.run({ until, signal, onStep });
      if (isDue(trainer, evaluate)) await evaluate!.run(trainer.step);
      if (!isDue(trainer, save)) continue;
      await save!.run(trainer.step);
      saved = trainer.step;
    }
  } catch (error) {
    if (isMambaError(error, 'aborted') && save !== undefined && trainer.step > saved) await save.run(trainer.step);
    throw error;
  }
}

function nextStop({ step, steps }: Trainer, interval: Interval | undefined): number {
  return interval === undefined ? steps : Math.min(steps, step - (step % interval.every) + interval.every);
}

function isDue({ step, steps }: Trainer, interval: Interval | undefined): boolean {
  return interval !== undefined && (step === steps || step % interval.every === 0);
}
