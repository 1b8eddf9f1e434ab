/**
 * A model that the fused one does not take: with caches that grow, LayerNorm, a table of positions, or parallel blocks.
 * Core walks through its layers, and keeps its state; steps of one token a row, as generation has, are prepared once
 * and sent again for every token.
 */
import type { Tensor } from '@mamba/core';
import {
  type BlockState,
  ComposedState,
  checkPositions,
  composeDecode,
  composeModel,
  type DecodeCall,
  type DecodeOutcome,
  donatedSlot,
  type FusionContext,
  isZero,
  type KernelState,
  type ModelCall,
  type ModelConfig,
  type ModelKernel,
  type ModelOutcome,
  type ModelWeights,
  modelSlots,
  multiplies,
  reachOf,
  type Scope,
  type StateSlot,
  scoped,
} from '@mamba/core/driver';
import { attentionBlockRefusal } from '../blocks/attention/block.ts';
import { extendCache } from '../blocks/attention/cache.ts';
import type { SlotRanges } from '../blocks/fused-block.ts';
import { fusedKind } from '../blocks/kinds.ts';
import { carryOver, slotBytes, slotTensor } from '../blocks/slots.ts';
import type { KernelContext } from '../operations/kernel-context.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import { generate } from './generate.ts';
import { bindStep, type Cache, type PlannedStep } from './planned-step.ts';
import { modelRefusal } from './refusal.ts';
import { StepPlaces } from './step-places.ts';

/** Returns undefined where the model has a part that steps do not take; core walks through all of it then. */
export function plannedModel(
  kernels: KernelContext,
  context: FusionContext<Storage>,
  config: ModelConfig,
  weights: ModelWeights<Tensor>,
): ModelKernel | undefined {
  if (!isPlannable(config)) return undefined;
  const step = bindStep(kernels, context, config, weights);
  const places = new StepPlaces(kernels.gpu);
  const model: Planned = { context, config, slots: modelSlots(config), step, places, refused: new Map() };
  let walk: ModelKernel | undefined;
  try {
    if (!refuses(model, 1)) walk = composeModel(context.backend, config, weights);
  } finally {
    if (walk === undefined) step.dispose();
  }
  return walk && kernelOf(model, walk);
}

/** Steps are prepared, and everything else is the walk's. */
function kernelOf(model: Planned, walk: ModelKernel): ModelKernel {
  const { context, step } = model;
  return {
    forward: (call) => (isStep(call) && takes(model, call) ? forwardStep(model, call) : walk.forward(call)),
    decode: (call) => (takes(model, call) ? decode(model, call) : composeDecode(context.backend, walk, call)),
    gather: (rows) => walk.gather(rows),
    exportState: (state, positions) => walk.exportState(state, positions),
    importState: (layers, positions) => walk.importState(layers, positions),
    warm: () => step.warm(),
    weightsChanged() {
      walk.weightsChanged?.();
      step.weightsChanged();
    },
    dispose() {
      walk.dispose();
      step.dispose();
    },
  };
}

interface Planned {
  readonly context: FusionContext<Storage>;
  readonly config: ModelConfig;
  readonly slots: readonly (readonly StateSlot[])[];
  readonly step: PlannedStep;
  readonly places: StepPlaces;
  /** Whether steps of so many rows are refused, by what was asked before. */
  readonly refused: Map<number, boolean>;
}

/** Whether all blocks have a fused form, and the model has no multipliers and no parallel blocks after RMS norms. */
function isPlannable(config: ModelConfig): boolean {
  const { blocks, norm, parallel = 1 } = config;
  return (
    !multiplies(config) &&
    (norm === 'layer' || parallel === 1) &&
    blocks.every(({ kind }) => kind === 'attention' || fusedKind(kind) !== undefined)
  );
}

function isStep({ length, resets, hiddenStates, logits }: ModelCall): boolean {
  return length === 1 && resets === undefined && !hiddenStates && logits !== 'none';
}

/** Whether a step is prepared for this call: every row is one sequence, and the device holds so many. */
function takes(model: Planned, { state, batch }: Pick<ModelCall, 'state' | 'batch'>): boolean {
  return layersOf(state).every(({ begun }) => begun === undefined || isZero(begun)) && !refuses(model, batch);
}

function refuses({ config, step, refused }: Planned, batch: number): boolean {
  let known = refused.get(batch);
  if (known === undefined) {
    const others = config.blocks.filter(({ kind }) => kind !== 'attention');
    known =
      modelRefusal(step.kernels, { ...config, blocks: others }, batch, 1, batch) !== undefined ||
      step.attention.some((block) => attentionBlockRefusal(block, batch, 1) !== undefined);
    refused.set(batch, known);
  }
  return known;
}

function layersOf(state: KernelState | undefined): readonly BlockState[] {
  return (state as ComposedState | undefined)?.layers ?? [];
}

function forwardStep(model: Planned, call: ModelCall): ModelOutcome {
  const { context, config, step } = model;
  const { gpu } = step.kernels;
  const { batch, positions, state: before, donated } = call;
  checkPositions(config, positions, 1);
  const outcome = scoped((scope) => {
    const given = { layers: layersOf(before), batch, positions };
    const slots = steppedSlots(model, scope, given, donated);
    const { record, layers } = prepareSteps(model, scope, given, slots, 1);
    const values = gpu.allocating((allocator) => {
      const { fed, logits } = step.stepper.memory(batch);
      const size = 4 * batch * config.vocabSize;
      const values = allocator.result(size, 'logits');
      const ids = rangeOf(context.device(call.ids));
      gpu.recorder.copy(ids.buffer, ids.offset, fed.buffer, 0, 4 * batch);
      record();
      gpu.recorder.copy(logits.buffer, 0, values.buffer, 0, size);
      return values;
    });
    return { values, state: released(scope, layers, batch) };
  });
  if (donated) before?.dispose();
  const logits = context.tensor(unsplitStorage(outcome.values), {
    shape: [batch, 1, config.vocabSize],
    dtype: 'float32',
  });
  return { logits, state: outcome.state, hiddenStates: undefined };
}

/** Most steps that caches get room for at once, so that a cache with a window drops what is behind it. */
const MOST_STEPS = 128;

function decode(model: Planned, call: DecodeCall): DecodeOutcome {
  const { context, config, step } = model;
  const { kernels, stepper } = step;
  const { state: before, donated, batch, count, positions } = call;
  checkPositions(config, positions, count);
  const outcome = scoped((scope) => {
    let layers = layersOf(before);
    // Room for later steps may be refused once earlier ones have been recorded, so the state has to be whole then.
    const slots = steppedSlots(model, scope, { layers, batch, positions }, donated && count <= MOST_STEPS);
    let steps: Steps | undefined;
    const record = (index: number): void => {
      if (steps === undefined || index % MOST_STEPS === 0) {
        const at = { layers, batch, positions: positions.map((position) => position + index) };
        const next = prepareSteps(model, scope, at, slots, Math.min(MOST_STEPS, count - index));
        for (const [layer, state] of (steps?.layers ?? []).entries())
          if (slots[layer] === undefined) for (const tensor of Object.values(state)) scope.drop(tensor);
        steps = next;
        layers = next.layers;
      }
      steps.record();
    };
    const ids = kernels.gpu.allocating((allocator) =>
      generate({ kernels, context, config, allocator }, call, stepper.memory(batch), record),
    );
    return { ids, state: released(scope, layers, batch) };
  });
  if (donated) before?.dispose();
  return outcome;
}

interface Steps {
  /** Records one step, from the ids that were fed to the logits. */
  record(): void;
  /** The state of each layer after all of the steps. */
  readonly layers: readonly BlockState[];
}

/** Where steps begin. */
interface Beginning extends Pick<ModelCall, 'positions' | 'batch'> {
  /** The state of each layer; empty before the first token. */
  readonly layers: readonly BlockState[];
}

/**
 * The state of each layer without a cache, in memory that steps move on in place: that of a state which was given away,
 * and a copy of every other. Undefined for a layer with a cache. The states belong to the scope.
 */
function steppedSlots(
  { context, config, slots, step: { kernels } }: Planned,
  scope: Scope,
  { layers, positions, batch }: Beginning,
  donated: boolean,
): readonly (BlockState | undefined)[] {
  const { gpu } = kernels;
  return config.blocks.map(({ kind }, layer) => {
    if (kind === 'attention') return undefined;
    const before = layers[layer] ?? {};
    const copied = (slot: StateSlot): Tensor => {
      const target = gpu.allocating((allocator) => allocator.result(slotBytes(slot, batch), `${slot.name} state`));
      const given = before[slot.name];
      carryOver(gpu, target, given && rangeOf(context.device(given)));
      return slotTensor(context, slot, target, positions);
    };
    const tensorOf = (slot: StateSlot): Tensor =>
      scope.own((donated ? donatedSlot(before[slot.name]) : undefined) ?? copied(slot));
    return Object.fromEntries(slots[layer]!.map((slot) => [slot.name, tensorOf(slot)]));
  });
}

/**
 * Prepares `count` steps, whose rows have room in all caches. The state after them belongs to the scope.
 * @param slots What `steppedSlots` returned.
 */
function prepareSteps(
  { context, config, step, places }: Planned,
  scope: Scope,
  { layers, positions, batch }: Beginning,
  slots: readonly (BlockState | undefined)[],
  count: number,
): Steps {
  const { stepper, attention, kernels, lists } = step;
  const caches: Cache[] = [];
  const rows: (readonly number[])[] = [];
  const after = config.blocks.map((_, layer): BlockState => {
    const own = slots[layer];
    if (own !== undefined) return own;
    const state = layers[layer];
    const { begun } = reachOf(context.backend, scope, { state, positions, resets: undefined, batch, length: 1 });
    const { tensors, before } = extendCache(attention[caches.length]!, scope, state, [batch, count], positions);
    const [k, v] = tensors as readonly [Tensor, Tensor];
    const reach = Math.min(k.shape[1]!, reachOfCut(Math.max(...before) + count));
    caches.push({ k: context.device(k), v: context.device(v), reach });
    rows.push(before);
    return { k, v, begun };
  });
  const { places: memory } = stepper.memory(batch);
  const ranges = slots.flatMap((state) => (state === undefined ? [] : [slotRanges(context, state)]));
  const plan = stepper.plan({ caches, slots: ranges }, batch);
  while (rows.length < lists) rows.push(positions);
  places.hold(memory, rows, positions);
  return {
    record() {
      kernels.gpu.recorder.replay(plan);
      places.advanced();
    },
    layers: after,
  };
}

function slotRanges(context: FusionContext<Storage>, state: BlockState): SlotRanges {
  return Object.fromEntries(
    Object.entries(state).map(([name, tensor]) => [name, rangeOf(context.device(tensor))] as const),
  );
}

/** A state of tensors that leave the scope. */
function released(scope: Scope, layers: readonly BlockState[], batch: number): ComposedState {
  for (const state of layers) for (const tensor of Object.values(state)) scope.release(tensor);
  return new ComposedState(layers, batch);
}

/** Caches of up to so many rows are cut alike. */
const SHORTEST_CUT = 512;

/** Attention is cut over workgroups for a power of two of rows, so that few plans are made while a cache grows. */
function reachOfCut(rows: number): number {
  return Math.max(SHORTEST_CUT, 2 ** Math.ceil(Math.log2(rows)));
}
