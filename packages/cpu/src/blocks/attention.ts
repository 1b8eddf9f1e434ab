/** An attention block on the cache that core keeps, as one program. Its definition is in core, in blocks/attention. */
import type { Tensor } from '@mamba/core';
import {
  type AttentionConfig,
  type AttentionWeights,
  attentionState,
  extendRows,
  type FusionContext,
  kvHeadsOf,
  reachOf,
  resolveAttention,
  resolveRope,
  type Scope,
  type SlotMemory,
  sizeOf,
  uniform,
} from '@mamba/core/driver';
import type { Arena } from '../memory/heap.ts';
import type { Storage } from '../memory/storage.ts';
import { attentionCommands, attentionInputs } from '../operations/attention.ts';
import { addressOf, type Context, ELEMENT, type Stored } from '../operations/context.ts';
import { linearCommands, packedBytes } from '../operations/linear.ts';
import { turnsOf } from '../operations/rope.ts';
import { type Command, threadScratch } from '../program/program.ts';
import type { CoreBlock, CoreCall, Prepared } from './core-block.ts';
import type { StoredWeights } from './fused.ts';

interface AttentionBlock {
  readonly context: Context;
  readonly fusion: FusionContext<Storage>;
  readonly config: AttentionConfig;
  readonly weights: AttentionWeights<Stored>;
  readonly dModel: number;
  /** Of the pairs of channels that turn, as `turnsOf` has them; none without rotary positions. */
  readonly turns: Int32Array;
}

export function coreAttention(
  context: Context,
  fusion: FusionContext<Storage>,
  config: AttentionConfig,
  weights: StoredWeights,
  dModel: number,
): CoreBlock {
  const { heads, headDim, rope } = config;
  const turned = rope && resolveRope({ shape: [1, 1, heads, headDim], dtype: 'float32' }, rope).call;
  const turns = turnsOf(turned?.frequencies ?? []);
  const bound = weights as AttentionWeights<Stored>;
  const block: AttentionBlock = { context, fusion, config, weights: bound, dModel, turns };
  return { prepare: (arena, scope, call) => prepare(block, arena, scope, call) };
}

function prepare(block: AttentionBlock, arena: Arena, scope: Scope, call: CoreCall): Prepared {
  const { context, fusion, config, weights, dModel } = block;
  const { state, positions, batch, length } = call;
  const kvHeads = kvHeadsOf(config);
  const [inner, kvInner] = [config.heads * config.headDim, kvHeads * config.headDim];
  const rows = batch * length;
  const { reach, begun } = reachOf(fusion.backend, scope, call);
  const [slot] = attentionState(config);
  const shape = [batch, length, kvInner];
  const cache = extendRows(scope, slot!, [state?.k, state?.v], shape, positions, slotMemory(block));
  const [k, v] = cache.tensors.map((tensor) => fusion.device(tensor)) as [Stored, Stored];
  const floats = (channels: number): Storage => arena.scratch(rows * channels * ELEMENT);
  const [q, newK, newV, mixed] = [floats(inner), floats(kvInner), floats(kvInner), floats(inner)];
  const packed = arena.scratch(packedBytes(context, rows, Math.max(dModel, inner))).address;
  const places = placesIn(context, arena, cache.before, positions);
  const input = (weight: Stored, bias: Stored | undefined, y: Storage, outputs: number): Command[] =>
    linearCommands(context, arena, {
      ...{ x: call.x, norm: call.norm, weight: weight.storage, bias: addressOf(bias), y: y.address },
      ...{ rows, inputs: dModel, outputs, packed },
    });
  const attended = attentionInputs(context, {
    ...resolveAttention(
      { shape: [batch, length, inner], dtype: 'float32' },
      // A single row of the batch ends where its keys do, so that no room behind them is looked at.
      { ...k, shape: batch === 1 ? [1, cache.before[0]! + length, kvInner] : k.shape },
      { ...v, shape: batch === 1 ? [1, cache.before[0]! + length, kvInner] : v.shape },
      {
        ...{ headDim: config.headDim, window: config.window, globalTokens: config.globalTokens },
        ...{ scale: config.scale, softcap: config.softcap, offset: cache.before[0]! },
      },
    ).call,
    ...{ q: { shape: [batch, length, inner], dtype: 'float32', storage: q }, k, v },
    ...{ segments: undefined, keyLengths: undefined, reach: reach && fusion.device(reach), offsets: undefined },
  });
  const commands = [
    ...input(weights.qProj, weights.qProjBias, q, inner),
    // x is packed for q already.
    ...productsOf(input(weights.kProj, weights.kProjBias, newK, kvInner)),
    ...productsOf(input(weights.vProj, weights.vProjBias, newV, kvInner)),
    placeCommand(block, arena, { q, newK, newV, k, v, places, batch, length }),
    ...attentionCommands(context, arena, {
      ...attended,
      offsets: uniform(cache.before) ? 0 : places,
      ...{ y: mixed.address, logSumExp: floats(config.heads).address },
    }),
    ...linearCommands(context, arena, {
      ...{ x: mixed.address, weight: weights.outProj.storage, bias: addressOf(weights.outProjBias), y: call.y },
      ...{ rows, inputs: inner, outputs: dModel, accumulate: call.accumulate, packed },
    }),
  ];
  return {
    commands,
    state() {
      const [lastK, lastV] = cache.state.map((tensor) => scope.release(tensor)) as [Tensor, Tensor];
      return { k: lastK, v: lastV, begun: scope.release(begun) };
    },
  };
}

/** The commands of a product whose x lies packed where the product before it left it. */
function productsOf(commands: readonly Command[]): readonly Command[] {
  return commands.filter(({ operation }) => operation !== 'pack');
}

/** int32 `[2, batch]`: the row of the cache for the first token of each row of the batch, and its position. */
function placesIn({ heap }: Context, arena: Arena, rows: readonly number[], positions: readonly number[]): number {
  const memory = arena.scratch(2 * rows.length * ELEMENT);
  heap.integers(memory, 2 * rows.length).set([...rows, ...positions]);
  return memory.address;
}

interface PlaceOptions {
  readonly q: Storage;
  readonly newK: Storage;
  readonly newV: Storage;
  /** The caches. */
  readonly k: Stored;
  readonly v: Stored;
  readonly places: number;
  readonly batch: number;
  readonly length: number;
}

/** Values of a task, which take some 5 µs. */
const TASK = 8192;

function placeCommand(
  { context: { heap, team }, config, weights, turns }: AttentionBlock,
  arena: Arena,
  { q, newK, newV, k, v, places, batch, length }: PlaceOptions,
): Command {
  const { heads, headDim, rope, qkNormEps: eps = 0 } = config;
  const kvHeads = kvHeadsOf(config);
  const pairs = turns.length / 2;
  const memory = arena.scratch(turns.length * ELEMENT);
  heap.integers(memory, turns.length).set(turns);
  const scratch = threadScratch(arena, team, 2 * Math.ceil(pairs / 4) * 4 * ELEMENT);
  const taskTokens = Math.max(1, Math.floor(TASK / ((heads + 2 * kvHeads) * headDim)));
  return {
    operation: 'attentionPlace',
    tasks: Math.ceil((batch * length) / taskTokens),
    call: {
      ...{ q: q.address, k: newK.address, v: newV.address, kCache: addressOf(k), vCache: addressOf(v) },
      ...{ capacity: k.shape[1]!, places, qNorm: addressOf(weights.qNorm), kNorm: addressOf(weights.kNorm), eps },
      ...{ turns: memory.address, pairs, interleaved: rope?.interleaved ?? false },
      ...{ batch, length, heads, kvHeads, headDim, taskTokens },
      ...{ scratch: scratch.address, scratchStride: scratch.stride },
    },
  };
}

/** Memory of the cache: nothing fills it, and rows are copied where it has to grow. */
function slotMemory({ context: { heap }, fusion }: AttentionBlock): SlotMemory {
  return {
    allocate: (shape) => fusion.tensor(heap.allocate(sizeOf(shape) * ELEMENT), { shape, dtype: 'float32' }),
    copyRows(from, to, first, count) {
      const [source, target] = [from, to].map((tensor) => fusion.device(tensor)) as [Stored, Stored];
      const channels = sizeOf(to.shape.slice(2));
      const [before, after] = [source, target].map(({ storage, shape }) => heap.floats(storage, sizeOf(shape))) as [
        Float32Array,
        Float32Array,
      ];
      for (let row = 0; row < to.shape[0]!; row++) {
        const begin = (row * from.shape[1]! + first) * channels;
        after.set(before.subarray(begin, begin + count * channels), row * to.shape[1]! * channels);
      }
    },
  };
}
