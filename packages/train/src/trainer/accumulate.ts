import type { Tensor } from '@mamba/core';
import { scoped } from '@mamba/core/toolkit';
import type { TrainingBatch } from '../data/batches.ts';
import { type CarriedState, type Losses, lossAndGradients } from '../model/loss.ts';
import type { TrainableModel } from '../model/trainable.ts';

export interface AccumulateOptions {
  readonly labelSmoothing?: number | undefined;
  readonly checkpointing?: boolean | undefined;
  /** The state that the first batch continues. It stays the caller's. */
  readonly state?: CarriedState | undefined;
  /** Whether to return the state after the last batch. */
  readonly carries: boolean;
}

/** The results of several batches. The caller disposes them. */
export interface Accumulated {
  /** Their means add up to the loss of all targets. */
  readonly losses: readonly Losses[];
  /** The gradients of that loss, by the name of each trained parameter. */
  readonly gradients: ReadonlyMap<string, Tensor>;
  readonly state: CarriedState | undefined;
}

/** Adds up the gradients of batches, as if they were one batch. @throws what `lossAndGradients` throws. */
export function accumulateGradients(
  model: TrainableModel,
  batches: readonly TrainingBatch[],
  { carries, state: first, ...options }: AccumulateOptions,
): Accumulated {
  const count = batches.reduce((sum, { targets }) => sum + targets.reduce((own, id) => (id < 0 ? own : own + 1), 0), 0);
  return scoped((scope) => {
    const losses: Losses[] = [];
    const sums = new Map<string, Tensor>();
    let state: CarriedState | undefined;
    for (const batch of batches) {
      const before = batch.continues ? (state ?? first) : undefined;
      const result = lossAndGradients(model, batch, { ...options, count, state: before });
      losses.push(scope.own(result.losses));
      for (const gradient of result.gradients.values()) scope.own(gradient);
      if (state !== undefined) scope.drop(state);
      state = scope.own(result.state);
      for (const [name, gradient] of result.gradients) {
        const sum = sums.get(name);
        sums.set(name, sum === undefined ? gradient : scope.own(model.backend.add(sum, gradient)));
        if (sum === undefined) continue;
        scope.drop(sum);
        scope.drop(gradient);
      }
    }
    for (const part of losses) scope.release(part);
    for (const sum of sums.values()) scope.release(sum);
    return { losses, gradients: sums, state: carries ? scope.release(state!) : undefined };
  });
}
