/** The loss of a batch and its gradients. */
import type { Backend, BlockState, Tensor } from '@mamba/core';
import { beginsGroup, composedBlock, embedTokens, finalHidden, logitsOf, runLayer } from '@mamba/core/driver';
import { type Scope, scoped } from '@mamba/core/toolkit';
import { innerTensor } from '../tape/recorder.ts';
import { Tape } from '../tape/tape.ts';
import { type PreparedBatch, type PrepareOptions, prepareBatch } from './prepared-batch.ts';
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

/** How a loss and its gradients are computed. */
export interface LossOptions extends PrepareOptions {
  /** Share of each target that is spread evenly over the vocabulary, in [0, 1]. Default 0. */
  readonly labelSmoothing?: number | undefined;
  /**
   * Keeps only what enters each layer, and computes the layer again for its gradients: about a third more time, and the
   * memory of one layer. Default false.
   */
  readonly checkpointing?: boolean | undefined;
  /**
   * The state that the sequences begin with, of each layer. Gradients do not flow into it (truncated backward).
   * Default: zero.
   */
  readonly state?: CarriedState | undefined;
}

/** A loss, with its gradients and the state after the batch. */
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
  const prepared = prepareBatch(model, batch, options);
  return scoped((scope) => {
    const inputs = prepared.hosts.map((host) => scope.own(model.backend.upload(host)));
    const { losses, ...others } = differentiate(model, prepared, inputs, options);
    return { losses: new Losses(model.backend, losses, prepared), ...others };
  });
}

/** The results of a batch, with the losses of each piece as they lie on the device. The caller disposes all of them. */
export interface Differentiated extends Omit<LossResult, 'losses'> {
  readonly losses: readonly Tensor[];
}

/**
 * Runs a batch forward and backward. It depends on the batch's shape and on its inputs alone, so it can be captured.
 * @param inputs The batch's inputs on the device, which stay the caller's.
 */
export function differentiate(
  model: TrainableModel,
  prepared: PreparedBatch,
  inputs: readonly Tensor[],
  options: Omit<LossOptions, keyof PrepareOptions>,
): Differentiated {
  return scoped((scope) => {
    const tape = scope.own(new Tape(model.backend, model.leaves()));
    const { residual, states } = forward(scope, model, tape, prepared, inputs, options);
    const parts = { backend: tape.backend, config: model.config, weights: model.topWeights() };
    const hidden = scope.own(finalHidden(parts, residual));
    scope.drop(residual);
    const head = headLoss(scope, model, innerTensor(hidden), prepared, inputs, options);
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
      losses: head.losses,
      gradients: new Map(named),
      state: new CarriedState(layers, positionsAfter(prepared, options.state)),
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

  constructor(
    backend: Backend,
    losses: readonly Tensor[],
    { targets, count }: Pick<PreparedBatch, 'targets' | 'count'>,
  ) {
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

  /** Frees the losses. */
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

  /** Frees the tensors of the state. */
  dispose(): void {
    for (const layer of this.layers) for (const tensor of Object.values(layer)) tensor.dispose();
  }
}

/** From ids to the last residual, recorded on the tape. All tensors but the inputs belong to the scope. */
function forward(
  scope: Scope,
  model: TrainableModel,
  tape: Tape,
  prepared: PreparedBatch,
  [ids, marks]: readonly Tensor[],
  { checkpointing = false, state }: Pick<LossOptions, 'checkpointing' | 'state'>,
): { residual: Tensor; states: readonly BlockState[] } {
  const { config } = model;
  const { batch, length, resets } = prepared;
  const { backend } = tape;
  const positions = state?.positions ?? positionsBefore(prepared);
  const call = { positions, resets: resets ? marks : undefined, batch, length };
  let residual = scope.own(embedTokens({ backend, config, weights: model.topWeights() }, { ids: ids!, ...call }));
  const states: BlockState[] = [];
  let read = residual;
  for (const [layer, block] of config.blocks.entries()) {
    if (beginsGroup(config, layer) && read !== residual) {
      scope.drop(read);
      read = residual;
    }
    const names: string[] = [];
    const run = (on: Backend, [x, from, ...before]: readonly Tensor[]): readonly Tensor[] =>
      scoped((inner) => {
        const { weights } = inner.own(model.layerWeights(on, layer));
        const kernel = composedBlock(on, block, weights.block);
        const slots = Object.keys(state?.layers[layer] ?? {});
        const given = state && Object.fromEntries(slots.map((name, index) => [name, before[index]!]));
        const next = runLayer({ backend: on, config }, weights, kernel, x!, { ...call, state: given }, from);
        names.splice(0, names.length, ...Object.keys(next.state));
        return [next.residual, ...Object.values(next.state)];
      });
    const inputs = [residual, read, ...Object.values(state?.layers[layer] ?? {})];
    const [next, ...after] = checkpointing ? tape.checkpoint(inputs, run) : run(backend, inputs);
    for (const tensor of after) scope.own(tensor);
    states.push(Object.fromEntries(names.map((name, index) => [name, after[index]!])));
    if (residual !== read) scope.drop(residual);
    residual = scope.own(next!);
  }
  scope.drop(read);
  return { residual, states };
}

/** The head and the loss, piece by piece, with the gradients of what enters them. All tensors belong to the scope. */
function headLoss(
  scope: Scope,
  model: TrainableModel,
  hidden: Tensor,
  { bands }: PreparedBatch,
  inputs: readonly Tensor[],
  { labelSmoothing }: Pick<LossOptions, 'labelSmoothing'>,
): { losses: readonly Tensor[]; dHidden: Tensor; gradients: ReadonlyMap<Tensor, Tensor> } {
  const { backend, config } = model;
  const weights = model.topWeights();
  const leaves = model.leaves().filter((tensor) => tensor === weights.head);
  const gradients = new Map<Tensor, Tensor>();
  const losses: Tensor[] = [];
  const joinedBands: Tensor[] = [];
  for (const band of bands) {
    const { row, rowEnd } = band[0]!;
    const rows = rangeOf(scope, backend, hidden, 0, row, rowEnd);
    const pieces: Tensor[] = [];
    for (const { step, end, targets, cotangents } of band) {
      const x = rangeOf(scope, backend, rows, 1, step, end);
      const piece = scoped((inner) => {
        const tape = inner.own(new Tape(backend, [x, ...leaves]));
        const logits = inner.own(logitsOf({ backend: tape.backend, config, weights }, x));
        const loss = inner.own(tape.backend.crossEntropy(logits, inputs[targets]!, { labelSmoothing }));
        inner.drop(logits);
        const found = tape.backward([[loss, inputs[cotangents]!]]);
        return { found, loss: tape.take(loss) };
      });
      losses.push(scope.own(piece.loss));
      for (const gradient of piece.found.values()) scope.own(gradient);
      pieces.push(piece.found.get(x)!);
      for (const tensor of leaves) addTo(scope, backend, gradients, tensor, piece.found.get(tensor)!);
      if (x !== rows) scope.drop(x);
    }
    if (rows !== hidden) scope.drop(rows);
    joinedBands.push(joined(scope, backend, pieces, 1));
  }
  return { losses, dHidden: joined(scope, backend, joinedBands, 0), gradients };
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

function positionsBefore({ batch }: PreparedBatch): readonly number[] {
  return new Array<number>(batch).fill(0);
}

function positionsAfter(prepared: PreparedBatch, state: CarriedState | undefined): readonly number[] {
  return (state?.positions ?? positionsBefore(prepared)).map((position) => position + prepared.length);
}
