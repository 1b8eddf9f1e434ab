import type { Tensor } from '@mamba/core';
import {
  type DecodeCall,
  type DecodeOutcome,
  type FusionContext,
  type ModelCall,
  type ModelConfig,
  type ModelKernel,
  type ModelOutcome,
  type ModelWeights,
  modelSlots,
} from '@mamba/core/driver';
import { shareBuffers } from '../blocks/buffers.ts';
import type { NormsOfStep } from '../blocks/fused-block.ts';
import { bindBlock } from '../blocks/kinds.ts';
import { rangesOf, type SlotBuffers } from '../blocks/slots.ts';
import type { PooledBuffer } from '../gpu/buffer-pool.ts';
import { type Allocator, wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import type { KernelContext } from '../operations/kernel-context.ts';
import type { Norms } from '../operations/linear-normed.ts';
import { normalise } from '../operations/rms-norm.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import { chunksOf } from './chunk.ts';
import { embed, writeLogits } from './ends.ts';
import { generate } from './generate.ts';
import { rmsNorm } from './norms.ts';
import type { Fused, HiddenStates, Pass } from './pass.ts';
import { checkCall, isFusible, modelRefusal } from './refusal.ts';
import {
  exportState,
  FusedState,
  gatherState,
  importState,
  nextState,
  releaseUnused,
  sameMemory,
  stateOf,
} from './state.ts';
import { type StepGroup, stepLayers } from './step-layers.ts';
import { type StepCall, Stepper } from './stepper.ts';
import { warm } from './warm.ts';

/**
 * The whole model on the device: activations and state never leave it, and no call waits. Returns undefined where the
 * model has a part that the kernels do not take; core walks over the blocks then, and its operations say what is
 * refused.
 */
export function fusedModel(
  kernels: KernelContext,
  context: FusionContext<Storage>,
  config: ModelConfig,
  weights: ModelWeights<Tensor>,
): ModelKernel | undefined {
  if (!isFusible(config) || modelRefusal(kernels, config, 1, 1, 0) !== undefined) return undefined;
  const model = bindModel(kernels, context, config, weights);
  const { gpu } = kernels;
  const { blocks, slots, stepper } = model;
  return {
    forward: (call) => forward(model, call),
    decode: (call) => decode(model, call),
    chunk: chunksOf(kernels, config),
    gather: (rows) => gatherState(gpu, slots, rows),
    exportState: (state) => exportState(gpu, slots, stateOf(state)!),
    importState: (snapshots, positions) => importState(gpu, slots, snapshots, positions.length),
    warm: () => warm(model, prefill),
    weightsChanged() {
      for (const block of blocks) block.repack();
    },
    dispose() {
      stepper.dispose();
      for (const block of blocks) block.dispose();
    },
  };
}

function bindModel(
  kernels: KernelContext,
  context: FusionContext<Storage>,
  config: ModelConfig,
  weights: ModelWeights<Tensor>,
): Fused {
  const { dModel, vocabSize } = config;
  return kernels.gpu.allocating((allocator) => {
    const rms = (weight: Tensor): Norms => rmsNorm(rangeOf(context.device(weight)), config.normEps);
    const norms = weights.layers.map(({ norm }) => rms(norm));
    const blocks = config.blocks.map((block, index) => {
      const { block: blockWeights } = weights.layers[index]!;
      return bindBlock(kernels, allocator, context, {
        config: block,
        weights: blockWeights,
        dModel,
        norm: norms[index]!,
      });
    });
    const stepper = new Stepper<readonly SlotBuffers[]>(kernels.gpu, {
      dModel,
      vocabSize,
      blocks,
      same: sameMemory,
      dispatch: (call) => step(model, call),
    });
    const model: Fused = {
      kernels,
      context,
      config,
      embedding: context.device(weights.embedding).storage,
      blocks,
      norms,
      finalNorm: rms(weights.finalNorm),
      head: context.device(weights.head).storage,
      slots: modelSlots(config),
      stepper,
    };
    return model;
  });
}

function forward(model: Fused, call: ModelCall): ModelOutcome {
  const { kernels, context, config } = model;
  const { gpu } = kernels;
  const { batch, length, logits, hiddenStates } = call;
  const previous = stateOf(call.state);
  const logitRows = logits === 'none' ? 0 : logits === 'all' ? batch * length : batch;
  checkCall(kernels, config, batch, length, logitRows);
  const ids = rangeOf(context.device(call.ids));
  const stepped = length === 1 && call.resets === undefined && !hiddenStates && logitRows > 0;
  const outcome = stepped ? forwardStep(model, call, ids) : forwardChunk(model, call, ids, logitRows);
  // Nothing throws from here on, so storage can go to its owners.
  if (call.donated) releaseUnused(gpu, previous, outcome.state);
  const tensor = (buffer: PooledBuffer, ...shape: number[]): Tensor =>
    context.tensor(unsplitStorage(buffer), { shape, dtype: 'float32' });
  return {
    state: new FusedState(gpu, outcome.state, batch),
    logits: outcome.values && tensor(outcome.values, batch, logits === 'all' ? length : 1, config.vocabSize),
    hiddenStates: outcome.kept?.map((buffer) => tensor(buffer, batch, length, config.dModel)),
  };
}

interface Outcome {
  readonly state: readonly SlotBuffers[];
  /** The logits. */
  readonly values: PooledBuffer | undefined;
  /** The hidden states, where they are asked for. */
  readonly kept: readonly PooledBuffer[] | undefined;
}

function forwardStep(model: Fused, call: ModelCall, ids: BufferRange): Outcome {
  const { config, stepper } = model;
  const { gpu } = model.kernels;
  const { batch } = call;
  return gpu.allocating((allocator) => {
    const { fed, logits } = stepper.memory(batch);
    const size = 4 * batch * config.vocabSize;
    const values = allocator.result(size, 'logits');
    const state = steppedState(model, allocator, call);
    const plan = stepper.plan(state, batch);
    gpu.recorder.copy(ids.buffer, ids.offset, fed.buffer, 0, 4 * batch);
    gpu.recorder.replay(plan);
    gpu.recorder.copy(logits.buffer, 0, values.buffer, 0, size);
    return { state, values, kept: undefined };
  });
}

/** Allocates the memory of a state that steps move on in place. */
function steppedState(
  { kernels: { gpu }, slots }: Fused,
  allocator: Allocator,
  { state, donated, batch }: ModelCall | DecodeCall,
): readonly SlotBuffers[] {
  return nextState(gpu, allocator, slots, { previous: stateOf(state), donated, batch, inPlace: () => true });
}

function forwardChunk(model: Fused, call: ModelCall, ids: BufferRange, logitRows: number): Outcome {
  const { context, config, blocks, slots } = model;
  const { gpu } = model.kernels;
  const { batch, length, donated } = call;
  const rows = batch * length;
  const previous = stateOf(call.state);
  const resets = call.resets && rangeOf(context.device(call.resets));
  return gpu.allocating((allocator) => {
    const residual = wholeRange(allocator.scratch(4 * rows * config.dModel, 'residual'));
    const hiddenStates: HiddenStates | undefined = call.hiddenStates ? { allocator, kept: [] } : undefined;
    const state = nextState(gpu, allocator, slots, {
      previous,
      donated,
      batch,
      inPlace: (layer, slot) => blocks[layer]!.slotsInPlace.includes(slot),
    });
    const buffers = shareBuffers(
      blocks.map((block) => block.prefillBuffers(rows)),
      ({ bytes, label }) => allocator.scratch(bytes, label),
    );
    prefill(model, { batch, length, ids, resets, residual, buffers, before: previous?.layers, state, hiddenStates });
    const last = hiddenStates && keepNormed(model, hiddenStates, residual, rows);
    const values = logitRows === 0 ? undefined : allocator.result(4 * logitRows * config.vocabSize, 'logits');
    const stride = call.logits === 'last' ? length : 1;
    if (values !== undefined)
      writeLogits(model, {
        x: last ?? residual,
        normed: last !== undefined,
        stride,
        rows: logitRows,
        y: wholeRange(values),
      });
    return { state, values, kept: hiddenStates?.kept };
  });
}

/** Runs all layers over a chunk, onto the residual. */
function prefill(model: Fused, pass: Pass): void {
  const { config, blocks } = model;
  const { gpu } = model.kernels;
  const { batch, length, resets, residual, buffers, before, state, hiddenStates } = pass;
  const bytes = 4 * batch * length * config.dModel;
  embed(model, pass.ids, batch * length, residual);
  for (const [index, block] of blocks.entries()) {
    if (hiddenStates !== undefined) {
      const copy = hiddenStates.allocator.result(bytes, 'hidden state');
      gpu.recorder.copy(residual.buffer, 0, copy.buffer, 0, bytes);
      hiddenStates.kept.push(copy);
    }
    const call = {
      batch,
      length,
      resets,
      x: residual,
      y: residual,
      accumulate: true,
      before: rangesOf(before?.[index]),
      state: rangesOf(state[index]),
    };
    block.prefill(call, buffers[index]!);
  }
}

/** Runs all layers over one token a row, and then the head. */
function step(model: Fused, { memory, state, rows }: StepCall<readonly SlotBuffers[]>): void {
  const { blocks, norms } = model;
  const { residual, buffers, fed } = memory;
  embed(model, fed, rows, residual);
  const common = { batch: rows, length: 1, resets: undefined, x: residual, y: residual, accumulate: true };
  const groups = blocks.map((block, index): StepGroup => {
    const ranges = rangesOf(state[index]);
    const step = (offered: NormsOfStep): boolean =>
      block.step({ ...common, ...offered, before: ranges, state: ranges }, buffers[index]!);
    return { norms: norms[index]!, steps: [step] };
  });
  stepLayers(model, memory, rows, groups);
}

/** Keeps the residual after the final norm, which is the last hidden state. */
function keepNormed(
  { kernels: { gpu }, config, finalNorm }: Fused,
  { allocator, kept }: HiddenStates,
  x: BufferRange,
  rows: number,
): BufferRange {
  const { dModel: channels } = config;
  const y = allocator.result(4 * rows * channels, 'hidden state');
  normalise(gpu, { ...finalNorm, x, y: wholeRange(y), rows, channels, xRow: channels, xOffset: 0 });
  kept.push(y);
  return wholeRange(y);
}

/** Generates `count` tokens. Each is chosen on the device and fed to the next step; nothing is read back. */
function decode(model: Fused, call: DecodeCall): DecodeOutcome {
  const { kernels, context, config, stepper } = model;
  const { gpu } = kernels;
  const { batch } = call;
  checkCall(kernels, config, batch, 1, batch);
  return gpu.allocating((allocator) => {
    const memory = stepper.memory(batch);
    const state = steppedState(model, allocator, call);
    const plan = stepper.plan(state, batch);
    const ids = generate({ kernels, context, config, allocator }, call, memory, () => gpu.recorder.replay(plan));
    return { ids, state: new FusedState(gpu, state, batch) };
  });
}
