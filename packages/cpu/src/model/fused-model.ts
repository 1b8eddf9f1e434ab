import type { Tensor } from '@mamba/core';
import {
  beyondRms,
  type DecodeCall,
  type DecodeOutcome,
  type FusionContext,
  type ModelCall,
  type ModelConfig,
  type ModelKernel,
  type ModelOutcome,
  type ModelWeights,
} from '@mamba/core/driver';
import { mapBlock } from '../blocks/block.ts';
import type { FusedBlock } from '../blocks/fused.ts';
import { fuseBlock } from '../blocks/kinds.ts';
import type { Allocation } from '../memory/allocator.ts';
import type { Arena } from '../memory/heap.ts';
import type { Storage } from '../memory/storage.ts';
import { decides } from '../operations/argmax.ts';
import { addressOf, type Context, ELEMENT, type Stored } from '../operations/context.ts';
import { draw } from '../operations/sample.ts';
import { Program } from '../program/program.ts';
import { argmaxCommand, headCommands, layerCommands } from './commands.ts';
import { copyState, exportState, FusedState, gatherState, importState, StateLayout, stateOf } from './state.ts';

/**
 * The whole model as one program: a pass is a single call into WebAssembly, and a decode writes its commands once.
 * Undefined where the model has a part without a fused form.
 */
export function fusedModel(
  context: Context,
  fusion: FusionContext<Storage>,
  config: ModelConfig,
  weights: ModelWeights<Tensor>,
): ModelKernel | undefined {
  // Between blocks there is an RMS norm that the next product applies, and no other kernel.
  if (beyondRms(config) !== undefined) return undefined;
  const stored = mapWeights(weights, (tensor) => fusion.device(tensor));
  const blocks = fuseBlocks(config, stored);
  if (blocks === undefined) return undefined;
  const { heap } = context;
  const layout = new StateLayout(blocks.map(({ slots }) => slots));
  const model: Fused = { context, fusion, config, weights: stored, blocks, layout };
  return {
    forward: (call) => forward(model, call),
    decode: (call) => decode(model, call),
    gather: (rows) => gatherState(heap, layout, rows),
    exportState: async (state) => exportState(heap, layout, stateOf(state)!),
    importState: (snapshots, positions) => importState(heap, layout, snapshots, positions.length),
    dispose() {},
  };
}

/** Returns the fused forms of all blocks; undefined where a kind has none. */
function fuseBlocks(config: ModelConfig, { layers }: ModelWeights<Stored>): readonly FusedBlock[] | undefined {
  const blocks: FusedBlock[] = [];
  for (const [layer, block] of config.blocks.entries()) {
    const fused = fuseBlock(block, layers[layer]!.block, config.dModel);
    if (fused === undefined) return undefined;
    blocks.push(fused);
  }
  return blocks;
}

interface Fused {
  readonly context: Context;
  readonly fusion: FusionContext<Storage>;
  readonly config: ModelConfig;
  readonly weights: ModelWeights<Stored>;
  readonly blocks: readonly FusedBlock[];
  readonly layout: StateLayout;
}

function forward(model: Fused, call: ModelCall): ModelOutcome {
  const { context, fusion, config, weights, blocks, layout } = model;
  const { heap, wasm, team } = context;
  const { dModel, vocabSize, normEps } = config;
  const { batch, length, donated } = call;
  const previous = stateOf(call.state);
  const rows = batch * length;
  const logitRows = call.logits === 'none' ? 0 : call.logits === 'all' ? rows : batch;
  const outcome = heap.run((arena) => {
    const state = donated && previous !== undefined ? previous.memory : arena.result(layout.rowBytes * batch);
    const values = logitRows === 0 ? undefined : arena.result(logitRows * vocabSize * ELEMENT);
    const kept = call.hiddenStates
      ? Array.from({ length: blocks.length + 1 }, () => arena.result(rows * dModel * ELEMENT))
      : [];
    const { commands, residual } = layerCommands(context, arena, config, weights, blocks, layout, {
      ids: addressOf(fusion.device(call.ids)),
      resets: addressOf(call.resets && fusion.device(call.resets)),
      before: previous?.memory.address ?? 0,
      after: state.address,
      batch,
      length,
      hidden: call.hiddenStates ? kept.map(({ address }) => address) : undefined,
    });
    if (values !== undefined) {
      const width = dModel * ELEMENT;
      const picked =
        call.logits === 'all'
          ? { x: residual, xStride: width, count: rows }
          : { x: residual + (length - 1) * width, xStride: length * width, count: batch };
      commands.push(...headCommands(context, arena, config, weights, picked, values.address));
    }
    team.run(new Program(heap, arena, commands));
    const last = kept.at(-1);
    if (last !== undefined) wasm.rmsNorm(residual, addressOf(weights.finalNorm), last.address, rows, dModel, normEps);
    return { state, values, kept };
  });
  const tensor = (memory: Allocation, ...shape: number[]): Tensor => fusion.tensor(memory, { shape, dtype: 'float32' });
  return {
    state: new FusedState(outcome.state, batch),
    logits: outcome.values && tensor(outcome.values, batch, call.logits === 'all' ? length : 1, vocabSize),
    hiddenStates: call.hiddenStates ? outcome.kept.map((memory) => tensor(memory, batch, length, dModel)) : undefined,
  };
}

/** All memory is allocated before the first step, so that no later step can fail. */
function decode(model: Fused, call: DecodeCall): DecodeOutcome {
  const { context, fusion, config, weights, blocks, layout } = model;
  const { heap, team } = context;
  const { dModel, vocabSize } = config;
  const { batch, count, sampling, donated } = call;
  const previous = stateOf(call.state);
  const drawn = sampling !== undefined && sampling.temperature > 0;
  const outcome = heap.run((arena) => {
    const ids = arena.result(batch * count * ELEMENT);
    const inPlace = donated && previous !== undefined;
    const state = inPlace ? previous.memory : arena.result(layout.rowBytes * batch);
    const current = arena.scratch(batch * ELEMENT);
    const logits = arena.scratch(batch * vocabSize * ELEMENT);
    const { commands, residual } = layerCommands(context, arena, config, weights, blocks, layout, {
      ids: current.address,
      resets: 0,
      before: state.address,
      after: state.address,
      batch,
      length: 1,
      hidden: undefined,
    });
    const rows = { x: residual, xStride: dModel * ELEMENT, count: batch };
    commands.push(...headCommands(context, arena, config, weights, rows, logits.address));
    if (!drawn) commands.push(argmaxCommand(logits.address, current.address, batch, vocabSize));
    const program = new Program(heap, arena, commands);
    const choose = drawn ? sampler(model, arena, sampling, logits, batch, count) : undefined;

    if (!inPlace) copyState(heap, previous, state);
    const [chosen, all] = [heap.integers(current, batch), heap.integers(ids, batch * count)];
    chosen.set(heap.integers(fusion.device(call.ids).storage, batch));
    for (let step = 0; step < count; step++) {
      team.run(program);
      for (let row = 0; row < batch; row++) {
        if (choose !== undefined) chosen[row] = choose(row, step);
        const decided = decides(context.wasm, logits.address + row * vocabSize * ELEMENT, vocabSize);
        all[row * count + step] = decided ? chosen[row]! : -1;
      }
    }
    return { ids, state };
  });
  return {
    ids: fusion.tensor(outcome.ids, {
      shape: [batch, count],
      dtype: 'int32',
      range: { min: 0, max: vocabSize - 1 },
    }),
    state: new FusedState(outcome.state, batch),
  };
}

/** Draws the token of a row at a step from the row's logits. */
function sampler(
  { context, fusion, config }: Fused,
  arena: Arena,
  { uniform, ...options }: NonNullable<DecodeCall['sampling']>,
  logits: Allocation,
  batch: number,
  count: number,
): (row: number, step: number) => number {
  const { vocabSize: vocab } = config;
  const scratch = arena.scratch(vocab * ELEMENT);
  const numbers = context.heap.floats(fusion.device(uniform).storage, batch * count);
  const filter = { ...options, vocab, topK: Math.min(options.topK, vocab) };
  return (row, step) =>
    draw(context, logits.address + row * vocab * ELEMENT, numbers[row * count + step]!, scratch, filter);
}

function mapWeights<T, R>(weights: ModelWeights<T>, map: (weight: T) => R): ModelWeights<R> {
  return {
    embedding: map(weights.embedding),
    finalNorm: map(weights.finalNorm),
    head: map(weights.head),
    layers: weights.layers.map(({ norm, block }) => ({ norm: map(norm), block: mapBlock(block, map) })),
  };
}
