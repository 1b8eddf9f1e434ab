import { checkBoolean, checkInteger, checkOptions } from '@mamba/core/toolkit';
import type { OptimiserOptions } from '../optimiser/optimiser.ts';
import { type ScheduleOptions, schedule } from '../optimiser/schedule.ts';

/** How a model is trained. The schedule's `total` is the number of steps. */
export interface TrainerOptions extends Omit<ScheduleOptions, 'total'>, OptimiserOptions {
  /** Number of steps of the whole training. */
  readonly steps: number;
  /** Batches whose gradients are added up for one step. Default 1. */
  readonly accumulation?: number | undefined;
  /** Share of each target that is spread evenly over the vocabulary, in [0, 1]. Default 0. */
  readonly labelSmoothing?: number | undefined;
  /** Computes each layer again for its gradients, in place of keeping it in memory. Default false. */
  readonly checkpointing?: boolean | undefined;
  /**
   * Prepares the computation of a step once for each shape of batches, where the backend can, and replays it: the same
   * bits with less work for the host. Steps that carry a state are not prepared. Default true.
   */
  readonly capture?: boolean | undefined;
}

/** The options by what they belong to, with their defaults. */
export interface ResolvedOptions {
  readonly steps: number;
  readonly accumulation: number;
  readonly labelSmoothing: number | undefined;
  readonly checkpointing: boolean;
  readonly capture: boolean;
  readonly learningRate: (step: number) => number;
  readonly optimiser: OptimiserOptions;
}

const KEYS = [
  ...['steps', 'accumulation', 'labelSmoothing', 'checkpointing', 'capture'],
  ...['peak', 'kind', 'warmup', 'end'],
  ...['beta1', 'beta2', 'eps', 'weightDecay', 'maxNorm'],
];

/** @throws MambaError `invalid-argument` */
export function resolveOptions(options: TrainerOptions): ResolvedOptions {
  checkOptions('trainer', options, KEYS);
  const { steps, accumulation = 1, labelSmoothing, checkpointing = false, capture = true, ...others } = options;
  const { peak, kind, warmup, end, ...optimiser } = others;
  checkInteger('trainer.steps', steps, 1);
  checkInteger('trainer.accumulation', accumulation, 1);
  checkBoolean('trainer.checkpointing', checkpointing);
  checkBoolean('trainer.capture', capture);
  const learningRate = schedule({ peak, kind, warmup, end, total: steps });
  return { steps, accumulation, labelSmoothing, checkpointing, capture, learningRate, optimiser };
}
