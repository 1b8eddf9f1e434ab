/**
 * The public API of training. What needs a file system is in `@mamba/train/node`.
 * @module
 */
export { defineTimeInvariant, type TimeInvariantConfig } from './blocks/time-invariant.ts';
export type { BatchSource, DataState, TrainingBatch } from './data/batches.ts';
export { byteTokenizerFiles } from './data/byte-tokenizer.ts';
export { Corpus, type CorpusOptions, type Piece } from './data/corpus.ts';
export { segmentsInOrder } from './data/segments.ts';
export {
  BYTE_END,
  BYTE_VOCABULARY,
  binaryTokens,
  byteTokens,
  safetensorsTokens,
  type TokenSource,
  type TokenType,
} from './data/tokens.ts';
export { shuffledWindows, type WindowOptions, windowsInOrder } from './data/windows.ts';
export type { Adapter, LoraOptions } from './lora/lora.ts';
export { saveAdapter } from './lora/peft.ts';
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
export { type CapturedUpdate, type Moments, Optimiser, type OptimiserOptions } from './optimiser/optimiser.ts';
export { cosine, type ScheduleOptions, schedule } from './optimiser/schedule.ts';
export { Random } from './random.ts';
export { openTraining, type SavedTraining } from './save/read.ts';
export { type SaveOptions, saveTraining } from './save/write.ts';
export { type Recomputed, Tape } from './tape/tape.ts';
export { type Accuracy, type AccuracyOptions, accuracy } from './tasks/accuracy.ts';
export { inductionHeads } from './tasks/induction-heads.ts';
export { type SelectiveCopyingOptions, selectiveCopying } from './tasks/selective-copying.ts';
export { type Task, type TaskSequence, taskBatches } from './tasks/task.ts';
export { type EvaluateOptions, evaluateLoss, type HeldOutLoss } from './trainer/evaluate.ts';
export type { TrainerOptions } from './trainer/options.ts';
export { type Interval, type TrainOptions, train } from './trainer/train.ts';
export { type Progress, type RunOptions, type StepMetrics, Trainer } from './trainer/trainer.ts';
