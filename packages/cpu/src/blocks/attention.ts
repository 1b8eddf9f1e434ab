/** An attention block on the cache that core keeps, as one program. Its definition is in core, in blocks/attention. */
import type { Tensor } from '@mamba/core';
import {
  type AttentionCall,
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
  uniform,
} from '@mamba/core/driver';
import type { Arena } from '../memory/heap.ts';
import type { Storage } from '../memory/storage.ts';
import { type AttentionOptions, attentionCommands } from '../operations/attention.ts';
import { addressOf, type Context, ELEMENT, type Stored } from '../operations/context.ts';
import { linearCommands, packedBytes } from '../operations/linear.ts';
import { turnsOf } from '../operations/rope.ts';
import { type Command, threadScratch } from '../program/program.ts';
import type { CoreBlock, CoreCall, Prepared } from './core-block.ts';
import type { StoredWeights } from './fused.ts';
import { slotMemory } from './slot-memory.ts';

interface AttentionBlock {
  readonly context: Context;
  readonly fusion: FusionContext<Storage>;
  readonly config: AttentionConfig;
  readonly kvHeads: number;
  readonly weights: AttentionWeights<Stored>;
  readonly dModel: number;
  /** The options of the operation, with their defaults; its sizes mean nothing. */
  readonly options: AttentionCall<unknown>;
  /** The turns of each pair of channels, from `turnsOf`; none without rotary positions. */
  readonly turns: Int32Array;
}

export function coreAttention(
  context: Context,
  fusion: FusionContext<Storage>,
  config: AttentionConfig,
  weights: StoredWeights,
  dModel: number,
): CoreBlock {
  const { heads, headDim, rope, window, globalTokens, scale, softcap } = config;
  const kvHeads = kvHeadsOf(config);
  const spec = (count: number) => ({ shape: [1, 1, count, headDim], dtype: 'float32' }) as const;
  const turned = rope && resolveRope(spec(heads), rope).call;
  const given = { window, globalTokens, scale, softcap };
  const block: AttentionBlock = {
    context,
    fusion,
    config,
    kvHeads,
    weights: weights as AttentionWeights<Stored>,
    dModel,
    options: resolveAttention(spec(heads), spec(kvHeads), spec(kvHeads), given).call,
    turns: turnsOf(turned?.frequencies ?? []),
  };
  return { prepare: (arena, scope, call) => prepare(block, arena, scope, call) };
}

// Fields are spelled out below, since spreads of objects of several shapes give slow objects: of small models they took
// a quarter of a step.
function prepare(block: AttentionBlock, arena: Arena, scope: Scope, call: CoreCall): Prepared {
  const { context, fusion, config, kvHeads, weights, dModel } = block;
  const { state, positions, batch, length } = call;
  const [inner, kvInner] = [config.heads * config.headDim, kvHeads * config.headDim];
  const rows = batch * length;
  const { reach, begun } = reachOf(fusion.backend, scope, call);
  const [slot] = attentionState(config);
  const shape = [batch, length, kvInner];
  const cache = extendRows(scope, slot!, [state?.k, state?.v], shape, positions, slotMemory(context.heap, fusion));
  const [k, v] = cache.tensors.map((tensor) => fusion.device(tensor)) as [Stored, Stored];
  const floats = (channels: number): number => arena.scratch(rows * channels * ELEMENT).address;
  const made: Made = {
    q: floats(inner),
    newK: floats(kvInner),
    newV: floats(kvInner),
    mixed: floats(inner),
    logSumExp: floats(config.heads),
    places: placesIn(context, arena, cache.before, positions),
  };
  const packed = arena.scratch(packedBytes(context, rows, Math.max(dModel, inner))).address;
  const input = (weight: Stored, bias: Stored | undefined, y: number, outputs: number): Command[] =>
    linearCommands(context, arena, {
      x: call.x,
      norm: call.norm,
      weight: weight.storage,
      bias: addressOf(bias),
      y,
      rows,
      inputs: dModel,
      outputs,
      packed,
    });
  const commands = [
    ...input(weights.qProj, weights.qProjBias, made.q, inner),
    // x is packed for q already.
    ...productsOf(input(weights.kProj, weights.kProjBias, made.newK, kvInner)),
    ...productsOf(input(weights.vProj, weights.vProjBias, made.newV, kvInner)),
    placeCommand(block, arena, call, made, k, v),
    ...attentionCommands(context, arena, optionsOf(block, call, made, k, v, cache.before, reach)),
    ...linearCommands(context, arena, {
      x: made.mixed,
      weight: weights.outProj.storage,
      bias: addressOf(weights.outProjBias),
      y: call.y,
      rows,
      inputs: inner,
      outputs: dModel,
      accumulate: call.accumulate,
      packed,
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

/** Addresses of what a call makes on its way. */
interface Made {
  readonly q: number;
  readonly newK: number;
  readonly newV: number;
  readonly mixed: number;
  readonly logSumExp: number;
  /** int32 `[2, batch]`: the row of the cache for the first token of each row of the batch, and its position. */
  readonly places: number;
}

function optionsOf(
  { context, fusion, config, kvHeads, options }: AttentionBlock,
  { batch, length }: CoreCall,
  { q, mixed, logSumExp, places }: Made,
  k: Stored,
  v: Stored,
  before: readonly number[],
  reach: Tensor | undefined,
): AttentionOptions {
  const { causal, window = 0, globalTokens, scale, softcap = 0 } = options;
  const offset = before[0]!;
  return {
    segments: 0,
    keyLengths: 0,
    offsets: uniform(before) ? 0 : places,
    reach: addressOf(reach && fusion.device(reach)),
    causal,
    window,
    globalTokens,
    offset,
    queries: length,
    // A single row of the batch ends where its keys do, so that no room behind them is looked at.
    keys: batch === 1 ? offset + length : k.shape[1]!,
    heads: config.heads,
    kvHeads,
    headDim: config.headDim,
    q,
    k: addressOf(k),
    v: addressOf(v),
    scale,
    softcap,
    wide: context.wide,
    batch,
    y: mixed,
    logSumExp,
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

/** Values of a task, which take some 5 µs. */
const TASK = 8192;

function placeCommand(
  { context: { heap, team }, config, kvHeads, weights, turns }: AttentionBlock,
  arena: Arena,
  { batch, length }: CoreCall,
  { q, newK, newV, places }: Made,
  k: Stored,
  v: Stored,
): Command {
  const { heads, headDim, rope, qkNormEps: eps = 0 } = config;
  const pairs = turns.length / 2;
  const memory = arena.scratch(turns.length * ELEMENT);
  heap.integers(memory, turns.length).set(turns);
  const scratch = threadScratch(arena, team, 2 * Math.ceil(pairs / 4) * 4 * ELEMENT);
  const taskTokens = Math.max(1, Math.floor(TASK / ((heads + 2 * kvHeads) * headDim)));
  return {
    operation: 'attentionPlace',
    tasks: Math.ceil((batch * length) / taskTokens),
    call: {
      q,
      k: newK,
      v: newV,
      kCache: addressOf(k),
      vCache: addressOf(v),
      capacity: k.shape[1]!,
      places,
      qNorm: addressOf(weights.qNorm),
      kNorm: addressOf(weights.kNorm),
      eps,
      turns: memory.address,
      pairs,
      interleaved: rope?.interleaved ?? false,
      batch,
      length,
      heads,
      kvHeads,
      headDim,
      taskTokens,
      scratch: scratch.address,
      scratchStride: scratch.stride,
    },
  };
}
