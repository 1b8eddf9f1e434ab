import type { Tensor } from '@mamba/core';
import { scoped } from '@mamba/core/toolkit';
import type { TrainingBatch } from '../data/batches.ts';
import { type CarriedState, differentiate, Losses } from '../model/loss.ts';
import { type PreparedBatch, prepareBatch } from '../model/prepared-batch.ts';
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
  options: AccumulateOptions,
): Accumulated {
  const prepared = prepareBatches(model, batches);
  const { losses, ...others } = addUp(model, prepared, {
    ...options,
    continues: (index) => batches[index]!.continues ?? false,
    inputs: (index, run) =>
      scoped((scope) => run(prepared[index]!.hosts.map((host) => scope.own(model.backend.upload(host))))),
  });
  return { losses: lossesOf(model, prepared, losses), ...others };
}

/** Where the inputs of batches come from, beside what is done with them. */
export interface AddUpOptions extends AccumulateOptions {
  /** Whether a batch goes on with the state of the one before it. */
  continues(index: number): boolean;
  /** Calls `run` with the inputs of a batch, which are on the device while it runs. */
  inputs<R>(index: number, run: (inputs: readonly Tensor[]) => R): R;
}

/** The results of batches, with the losses of each piece as they are on the device. The caller disposes them. */
export interface Sums extends Omit<Accumulated, 'losses'> {
  readonly losses: readonly (readonly Tensor[])[];
}

export function addUp(
  model: TrainableModel,
  prepared: readonly PreparedBatch[],
  { carries, state: first, continues, inputs, ...options }: AddUpOptions,
): Sums {
  return scoped((scope) => {
    const losses: (readonly Tensor[])[] = [];
    const sums = new Map<string, Tensor>();
    let state: CarriedState | undefined;
    for (const [index, batch] of prepared.entries()) {
      const before = continues(index) ? (state ?? first) : undefined;
      const result = inputs(index, (tensors) => differentiate(model, batch, tensors, { ...options, state: before }));
      for (const loss of result.losses) scope.own(loss);
      losses.push(result.losses);
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
    for (const loss of losses.flat()) scope.release(loss);
    for (const sum of sums.values()) scope.release(sum);
    return { losses, gradients: sums, state: carries ? scope.release(state!) : undefined };
  });
}

/** Checks batches and lays them out, with the number of all their targets as their count. */
export function prepareBatches(model: TrainableModel, batches: readonly TrainingBatch[]): readonly PreparedBatch[] {
  const count = batches.reduce((sum, { targets }) => sum + targets.reduce((own, id) => (id < 0 ? own : own + 1), 0), 0);
  return batches.map((batch) => prepareBatch(model, batch, { count }));
}

/** The losses of batches from those of their pieces. */
export function lossesOf(
  model: TrainableModel,
  prepared: readonly PreparedBatch[],
  losses: readonly (readonly Tensor[])[],
): readonly Losses[] {
  return losses.map((tensors, index) => new Losses(model.backend, tensors, prepared[index]!));
}
