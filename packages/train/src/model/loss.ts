/** The loss of a batch and its gradients. */
import { type Backend, type BlockState, invalid, type Tensor } from '@mamba/core';
import { composedBlock, embedTokens, finalHidden, logitsOf, runLayer } from '@mamba/core/driver';
import { checkInteger, type Scope, scoped } from '@mamba/core/toolkit';
import { filled } from '../tape/filled.ts';
import { innerTensor } from '../tape/recorder.ts';
import { Tape } from '../tape/tape.ts';
import type { TrainableModel } from './trainable.ts';

/** Sequences of tokens with what each has to predict, all `[batch, length]`. */
export interface Batch {
  readonly batch: number;
  readonly length: number;
  readonly ids: Int32Array;
  /** The token that each position has to name. One below 0 has no loss. */
  readonly targets: Int32Array;
  /** A value other than 0 begins a new sequence at its token. */
  readonly resets?: Int32Array | undefined;
}

export interface LossOptions {
  /** Share of each target that is spread evenly over the vocabulary, in [0, 1]. Default 0. */
  readonly labelSmoothing?: number | undefined;
  /**
   * Keeps only what enters each layer, and computes the layer again for its gradients: about a third more time, and the
   * memory of one layer. Default false.
   */
  readonly checkpointing?: boolean | undefined;
  /** The largest number of logits that are in memory at a time. Default 2^25. */
  readonly logits?: number | undefined;
  /**
   * The state that the sequences begin with, of each layer. Gradients do not flow into it (truncated backward).
   * Default: zero.
   */
  readonly state?: CarriedState | undefined;
  /** Divides the sum of the losses. Default: the number of targets that have one. */
  readonly count?: number | undefined;
}

export interface LossResult {
  /** The losses in nats, position by position, as tensors that are read when they are needed. */
  readonly losses: Losses;
  /** The gradient of the loss, `Σ losses / count`, by the name of each trained parameter. The caller disposes them. */
  readonly gradients: ReadonlyMap<string, Tensor>;
  readonly state: CarriedState;
}

/**
 * Runs a batch forward and backward. The head and its loss run in pieces, so that the logits of all positions are never
 * in memory together.
 * @throws MambaError `invalid-argument` where the batch does not fit the model or has no target, and any error of the
 * backend. Nothing is left on the device then.
 */
export function lossAndGradients(model: TrainableModel, batch: Batch, options: LossOptions = {}): LossResult {
  const targets = checkBatch(model, batch);
  const { count = targets } = options;
  return scoped((scope) => {
    const tape = scope.own(new Tape(model.backend, model.leaves()));
    const { residual, states } = forward(scope, model, tape, batch, options);
    const parts = { backend: tape.backend, config: model.config, weights: model.topWeights() };
    const hidden = scope.own(finalHidden(parts, residual));
    scope.drop(residual);
    const head = headLoss(scope, model, innerTensor(hidden), batch, { ...options, count });
    const gradients = tape.backward([[hidden, head.dHidden]]);
    for (const gradient of gradients.values()) scope.own(gradient);
    for (const [tensor, gradient] of head.gradients) addTo(scope, model.backend, gradients, tensor, gradient);
    const named = model.parameters.flatMap(({ name, tensor }): [string, Tensor][] => {
      const gradient = gradients.get(tensor);
      return gradient === undefined ? [] : [[name, gradient]];
    });
    for (const [, gradient] of named) scope.release(gradient);
    for (const losses of head.losses) scope.release(losses);
    const layers = states.map((state) =>
      Object.fromEntries(Object.entries(state).map(([name, tensor]) => [name, tape.take(tensor)])),
    );
    return {
      losses: new Losses(model.backend, head.losses, targets, count),
      gradients: new Map(named),
      state: new CarriedState(layers, positionsAfter(batch, options.state)),
    };
  });
}

/** The losses of a batch, which stay on the device until they are read. */
export class Losses {
  /** Number of positions that have a loss. */
  readonly targets: number;
  readonly #backend: Backend;
  readonly #losses: readonly Tensor[];
  readonly #count: number;

  constructor(backend: Backend, losses: readonly Tensor[], targets: number, count: number) {
    this.#backend = backend;
    this.#losses = losses;
    this.targets = targets;
    this.#count = count;
  }

  /** Waits for the device: the sum of the losses in nats, divided by their count. */
  async mean(): Promise<number> {
    let sum = 0;
    for (const values of await Promise.all(this.#losses.map((tensor) => this.#backend.read(tensor))))
      for (const value of values) sum += value;
    return sum / this.#count;
  }

  dispose(): void {
    for (const tensor of this.#losses) tensor.dispose();
  }
}

/** The state after a batch, which the next segment of the same sequences begins with. */
export class CarriedState {
  /** The state of each layer's block. */
  readonly layers: readonly BlockState[];
  /** Tokens fed so far, of each row. */
  readonly positions: readonly number[];

  constructor(layers: readonly BlockState[], positions: readonly number[]) {
    this.layers = layers;
    this.positions = positions;
  }

  dispose(): void {
    for (const layer of this.layers) for (const tensor of Object.values(layer)) tensor.dispose();
  }
}

/** From ids to the last residual, recorded on the tape. All tensors belong to the scope. */
function forward(
  scope: Scope,
  model: TrainableModel,
  tape: Tape,
  batch: Batch,
  { checkpointing = false, state }: LossOptions,
): { residual: Tensor; states: readonly BlockState[] } {
  const { config } = model;
  const { length } = batch;
  const shape = [batch.batch, length];
  const { backend } = tape;
  const ids = scope.own(backend.upload({ dtype: 'int32', shape, data: batch.ids }));
  const marks = batch.resets && scope.own(model.backend.upload({ dtype: 'int32', shape, data: batch.resets }));
  const call = { positions: state?.positions ?? positionsBefore(batch), resets: marks, batch: batch.batch, length };
  let residual = scope.own(embedTokens({ backend, config, weights: model.topWeights() }, { ids, ...call }));
  const states: BlockState[] = [];
  for (const [layer, block] of config.blocks.entries()) {
    const names: string[] = [];
    const run = (on: Backend, [x, ...before]: readonly Tensor[]): readonly Tensor[] =>
      scoped((inner) => {
        const { weights } = inner.own(model.layerWeights(on, layer));
        const kernel = composedBlock(on, block, weights.block);
        const slots = Object.keys(state?.layers[layer] ?? {});
        const given = state && Object.fromEntries(slots.map((name, index) => [name, before[index]!]));
        const next = runLayer({ backend: on, config }, weights, kernel, x!, { ...call, state: given });
        names.splice(0, names.length, ...Object.keys(next.state));
        return [next.residual, ...Object.values(next.state)];
      });
    const inputs = [residual, ...Object.values(state?.layers[layer] ?? {})];
    const [next, ...after] = checkpointing ? tape.checkpoint(inputs, run) : run(backend, inputs);
    for (const tensor of after) scope.own(tensor);
    states.push(Object.fromEntries(names.map((name, index) => [name, after[index]!])));
    scope.drop(residual);
    residual = scope.own(next!);
  }
  return { residual, states };
}

/** The head and the loss, piece by piece, with the gradients of what enters them. All tensors belong to the scope. */
function headLoss(
  scope: Scope,
  model: TrainableModel,
  hidden: Tensor,
  { batch, length, targets }: Batch,
  { labelSmoothing, logits: limit = DEFAULT_LOGITS, count }: LossOptions & { readonly count: number },
): { losses: readonly Tensor[]; dHidden: Tensor; gradients: ReadonlyMap<Tensor, Tensor> } {
  const { backend, config } = model;
  const weights = model.topWeights();
  const leaves = model.leaves().filter((tensor) => tensor === weights.head);
  const rows = Math.max(1, Math.floor(limit / config.vocabSize));
  const [rowsOfBatch, steps] = rows >= length ? [Math.min(batch, Math.floor(rows / length)), length] : [1, rows];
  const gradients = new Map<Tensor, Tensor>();
  const losses: Tensor[] = [];
  const bands: Tensor[] = [];
  for (let row = 0; row < batch; row += rowsOfBatch) {
    const rowEnd = Math.min(row + rowsOfBatch, batch);
    const band = rangeOf(scope, backend, hidden, 0, row, rowEnd);
    const pieces: Tensor[] = [];
    for (let step = 0; step < length; step += steps) {
      const end = Math.min(step + steps, length);
      const x = rangeOf(scope, backend, band, 1, step, end);
      const shape = [rowEnd - row, end - step];
      const data = partOf(targets, length, { row, rowEnd, step, end });
      const piece = scoped((inner) => {
        const tape = inner.own(new Tape(backend, [x, ...leaves]));
        const wanted = inner.own(backend.upload({ dtype: 'int32', shape, data }));
        const dLosses = inner.own(filled(backend, shape, 1 / count));
        const logits = inner.own(logitsOf({ backend: tape.backend, config, weights }, x));
        const loss = inner.own(tape.backend.crossEntropy(logits, wanted, { labelSmoothing }));
        inner.drop(logits);
        const found = tape.backward([[loss, dLosses]]);
        return { found, loss: tape.take(loss) };
      });
      losses.push(scope.own(piece.loss));
      for (const gradient of piece.found.values()) scope.own(gradient);
      pieces.push(piece.found.get(x)!);
      for (const tensor of leaves) addTo(scope, backend, gradients, tensor, piece.found.get(tensor)!);
      if (x !== band) scope.drop(x);
    }
    if (band !== hidden) scope.drop(band);
    bands.push(joined(scope, backend, pieces, 1));
  }
  return { losses, dHidden: joined(scope, backend, bands, 0), gradients };
}

const DEFAULT_LOGITS = 2 ** 25;

/** The values of some rows and steps of `[batch, length]`. */
function partOf(
  values: Int32Array,
  length: number,
  {
    row,
    rowEnd,
    step,
    end,
  }: { readonly row: number; readonly rowEnd: number; readonly step: number; readonly end: number },
): Int32Array<ArrayBuffer> {
  const part = new Int32Array((rowEnd - row) * (end - step));
  for (let from = row; from < rowEnd; from++)
    part.set(values.subarray(from * length + step, from * length + end), (from - row) * (end - step));
  return part;
}

/** A range of one axis: the tensor itself where the range is all of it, and otherwise a copy that the scope owns. */
function rangeOf(scope: Scope, backend: Backend, x: Tensor, axis: number, start: number, end: number): Tensor {
  return end - start === x.shape[axis] ? x : scope.own(backend.slice(x, axis, start, end));
}

/** The parts as one tensor. They are dropped from the scope where they are copied. */
function joined(scope: Scope, backend: Backend, parts: readonly Tensor[], axis: number): Tensor {
  if (parts.length === 1) return parts[0]!;
  const all = scope.own(backend.concat(parts, axis));
  for (const part of parts) scope.drop(part);
  return all;
}

/** Adds a gradient to that of the same tensor. The sum belongs to the scope, and what was added is dropped. */
function addTo(scope: Scope, backend: Backend, sums: Map<Tensor, Tensor>, tensor: Tensor, gradient: Tensor): void {
  const before = sums.get(tensor);
  if (before === undefined) {
    sums.set(tensor, gradient);
    return;
  }
  sums.set(tensor, scope.own(backend.add(before, gradient)));
  scope.drop(before);
  scope.drop(gradient);
}

function positionsBefore({ batch }: Batch): readonly number[] {
  return new Array<number>(batch).fill(0);
}

function positionsAfter(batch: Batch, state: CarriedState | undefined): readonly number[] {
  return (state?.positions ?? positionsBefore(batch)).map((position) => position + batch.length);
}

/** Checks a batch. Returns the number of targets. */
function checkBatch(model: TrainableModel, { batch, length, ids, targets, resets }: Batch): number {
  checkInteger('batch.batch', batch, 1);
  checkInteger('batch.length', length, 1);
  const { vocabSize } = model.config;
  for (const [name, values] of Object.entries({ ids, targets, resets })) {
    if (values === undefined) continue;
    if (values.length !== batch * length)
      throw invalid(`batch.${name}`, `${values.length} values`, `${batch * length}, [batch, length]`);
  }
  for (const id of ids)
    if (id < 0 || id >= vocabSize) throw invalid('batch.ids', `the id ${id}`, `ids from 0 to ${vocabSize - 1}`);
  let count = 0;
  for (const target of targets) {
    if (target >= vocabSize) throw invalid('batch.targets', `the target ${target}`, `targets up to ${vocabSize - 1}`);
    if (target >= 0) count++;
  }
  if (count === 0) throw invalid('batch.targets', 'no target', 'at least one that is not below 0');
  return count;
}
