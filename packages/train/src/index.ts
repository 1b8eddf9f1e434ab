/** The public API of training. */
export { defineTimeInvariant, type TimeInvariantConfig } from './blocks/time-invariant.ts';
export { initialParameters } from './model/initialise.ts';
export {
  type Batch,
  CarriedState,
  Losses,
  type LossOptions,
  type LossResult,
  lossAndGradients,
} from './model/loss.ts';
export { TrainableModel, type TrainableOptions, type TrainedParameter } from './model/trainable.ts';
export { type Moments, Optimiser, type OptimiserOptions } from './optimiser/optimiser.ts';
export { cosine, type ScheduleOptions, schedule } from './optimiser/schedule.ts';
export { Random } from './random.ts';
export { type Recomputed, Tape } from './tape/tape.ts';
