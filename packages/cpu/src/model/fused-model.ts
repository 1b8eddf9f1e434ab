import type { Tensor } from '@mamba/core';
import type {
  DecodeCall,
  DecodeOutcome,
  FusionContext,
  ModelCall,
  ModelConfig,
  ModelKernel,
  ModelOutcome,
  ModelWeights,
} from '@mamba/core/driver';
import type { Block } from '../memory/allocator.ts';
import type { Arena } from '../memory/heap.ts';
import type { Storage } from '../memory/storage.ts';
import { decides } from '../operations/argmax.ts';
import { addressOf, type Context, ELEMENT, type Stored } from '../operations/context.ts';
import { draw } from '../operations/sample.ts';
import { Program } from '../program/program.ts';
import { argmaxCommand, headCommands, layerCommands } from './commands.ts';
import { copyState, exportState, FusedState, gatherState, importState, stateBytes, stateOf } from './state.ts';

/** The whole model as one program: a pass is a single call into WebAssembly, and a decode writes its commands once. */
export function fusedModel(
  context: Context,
  fusion: FusionContext<Storage>,
  config: ModelConfig,
  weights: ModelWeights<Tensor>,
): ModelKernel {
  const { heap } = context;
  const model: Fused = { context, fusion, config, weights: mapWeights(weights, (tensor) => fusion.device(tensor)) };
  return {
    forward: (call) => forward(model, call),
    decode: (call) => decode(model, call),
    gather: (rows) => gatherState(heap, config, rows),
    exportState: async (state) => exportState(heap, config, stateOf(state)!),
    importState: (snapshots, batch) => importState(heap, config, snapshots, batch),
    dispose() {},
  };
}

interface Fused {
  readonly context: Context;
  readonly fusion: FusionContext<Storage>;
  readonly config: ModelConfig;
  readonly weights: ModelWeights<Stored>;
}

function forward(model: Fused, call: ModelCall): ModelOutcome {
  const { context, fusion, config, weights } = model;
  const { heap, wasm, team } = context;
  const { dModel, vocabSize, layers, normEps } = config;
  const { batch, length, donated } = call;
  const previous = stateOf(call.state);
  const rows = batch * length;
  const logitRows = call.logits === 'none' ? 0 : call.logits === 'all' ? rows : batch;
  const outcome = heap.run((arena) => {
    const state = donated && previous !== undefined ? previous.block : arena.result(stateBytes(config, batch));
    const values = logitRows === 0 ? undefined : arena.result(logitRows * vocabSize * ELEMENT);
    const kept = call.hiddenStates
      ? Array.from({ length: layers + 1 }, () => arena.result(rows * dModel * ELEMENT))
      : [];
    const { commands, residual } = layerCommands(context, arena, config, weights, {
      ids: addressOf(fusion.device(call.ids)),
      resets: addressOf(call.resets && fusion.device(call.resets)),
      before: previous?.block.address ?? 0,
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
  const tensor = (block: Block, ...shape: number[]): Tensor => fusion.tensor(block, { shape, dtype: 'float32' });
  return {
    state: new FusedState(outcome.state, batch),
    logits: outcome.values && tensor(outcome.values, batch, call.logits === 'all' ? length : 1, vocabSize),
    hiddenStates: call.hiddenStates ? outcome.kept.map((block) => tensor(block, batch, length, dModel)) : undefined,
  };
}

/** All memory is taken before the first step, so that nothing fails on the way. */
function decode(model: Fused, call: DecodeCall): DecodeOutcome {
  const { context, fusion, config, weights } = model;
  const { heap, team } = context;
  const { dModel, vocabSize } = config;
  const { batch, count, sampling, donated } = call;
  const previous = stateOf(call.state);
  const drawn = sampling !== undefined && sampling.temperature > 0;
  const outcome = heap.run((arena) => {
    const ids = arena.result(batch * count * ELEMENT);
    const inPlace = donated && previous !== undefined;
    const state = inPlace ? previous.block : arena.result(stateBytes(config, batch));
    const current = arena.scratch(batch * ELEMENT);
    const logits = arena.scratch(batch * vocabSize * ELEMENT);
    const { commands, residual } = layerCommands(context, arena, config, weights, {
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
  logits: Block,
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
    layers: weights.layers.map(({ norm, block }) => ({
      norm: map(norm),
      block: Object.fromEntries(
        Object.entries(block).map(([key, weight]) => [key, weight === undefined ? undefined : map(weight as T)]),
      ) as unknown as ModelWeights<R>['layers'][number]['block'],
    })),
  };
}
