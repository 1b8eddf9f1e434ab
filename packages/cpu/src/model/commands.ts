/** The commands of a pass through the model: the kernels read and write where their neighbours did, so nothing is copied. */
import type { ModelConfig, ModelWeights } from '@mamba/core/driver';
import type { Arena } from '../memory/heap.ts';
import { convCommand } from '../operations/causal-conv1d.ts';
import { addressOf, type Context, ELEMENT, type Stored } from '../operations/context.ts';
import { type LinearOptions, linearCommands, packedBytes } from '../operations/linear.ts';
import { scanCommand } from '../operations/selective-scan.ts';
import type { Command } from '../program/program.ts';
import { layerOffsets } from './state.ts';

export interface Pass {
  /** int32 `[batch, length]` */
  readonly ids: number;
  /** int32 `[batch, length]`; 0: none. */
  readonly resets: number;
  /** Addresses of the state before and after; the same where it moves on in place, 0 for zeros before. */
  readonly before: number;
  readonly after: number;
  readonly batch: number;
  readonly length: number;
  /** Where the residual before each layer is kept, if it is. */
  readonly hidden: readonly number[] | undefined;
}

/** Embedding and all layers. Gives the commands, and where the residual `[batch, length, dModel]` is afterwards. */
export function layerCommands(
  context: Context,
  arena: Arena,
  config: ModelConfig,
  weights: ModelWeights<Stored>,
  pass: Pass,
): { readonly commands: Command[]; readonly residual: number } {
  const { dModel, dInner, dState, dtRank } = config;
  const rows = pass.batch * pass.length;
  const scratch = (channels: number): number => arena.scratch(rows * channels * ELEMENT).address;
  const buffers = {
    residual: scratch(dModel),
    xz: scratch(2 * dInner),
    u: scratch(dInner),
    projected: scratch(dtRank + 2 * dState),
    delta: scratch(dInner),
    packed: arena.scratch(packedBytes(context, rows, Math.max(dModel, dInner, dtRank))).address,
  };
  const commands: Command[] = [embeddingCommand(weights.embedding, pass.ids, buffers.residual, rows, dModel)];
  for (let layer = 0; layer < config.layers; layer++) {
    const kept = pass.hidden?.[layer];
    if (kept !== undefined) commands.push(copyCommand(buffers.residual, kept, rows * dModel * ELEMENT));
    commands.push(...oneLayer(context, arena, config, weights, pass, buffers, layer));
  }
  return { commands, residual: buffers.residual };
}

/** Final norm and head over `rows` of the residual. */
export function headCommands(
  context: Context,
  arena: Arena,
  config: ModelConfig,
  weights: ModelWeights<Stored>,
  rows: { readonly x: number; readonly xStride: number; readonly count: number },
  y: number,
): Command[] {
  return linearCommands(context, arena, {
    x: rows.x,
    xStride: rows.xStride,
    weight: weights.head.storage,
    y,
    rows: rows.count,
    inputs: config.dModel,
    outputs: config.vocabSize,
    norm: { weight: addressOf(weights.finalNorm), eps: config.normEps },
  });
}

export function argmaxCommand(logits: number, ids: number, rows: number, vocab: number): Command {
  return { operation: 'argmax', tasks: rows, call: { logits, ids, vocab } };
}

interface Buffers {
  readonly residual: number;
  readonly xz: number;
  readonly u: number;
  readonly projected: number;
  /** delta, and then, in its place, the scan's result. */
  readonly delta: number;
  /** x of each product in tiles. */
  readonly packed: number;
}

function oneLayer(
  context: Context,
  arena: Arena,
  config: ModelConfig,
  weights: ModelWeights<Stored>,
  pass: Pass,
  { residual, xz, u, projected, delta, packed }: Buffers,
  layer: number,
): Command[] {
  const { dModel, dInner, dState, dConv, dtRank, normEps, mixerNormEps } = config;
  const { before, after, resets, batch, length } = pass;
  const { norm, block } = weights.layers[layer]!;
  const rows = batch * length;
  const [conv, ssm] = layerOffsets(config, batch, layer);
  const projectedStride = (dtRank + 2 * dState) * ELEMENT;
  const B = projected + dtRank * ELEMENT;
  // Spelled out: spreads of objects of several shapes give slow ones, and took half the time of a single-token call.
  const project = (options: Omit<LinearOptions, 'rows' | 'packed'>): Command[] => {
    const { x, xStride, weight, bias, y, inputs, outputs, accumulate, norm } = options;
    return linearCommands(context, arena, {
      x,
      xStride,
      weight,
      bias,
      y,
      rows,
      inputs,
      outputs,
      accumulate,
      norm,
      packed,
    });
  };
  return [
    ...project({
      x: residual,
      weight: block.inProj.storage,
      bias: addressOf(block.inProjBias),
      y: xz,
      inputs: dModel,
      outputs: 2 * dInner,
      norm: { weight: addressOf(norm), eps: normEps },
    }),
    convCommand(context, arena, {
      x: xz,
      xStride: 2 * dInner * ELEMENT,
      weight: addressOf(block.conv),
      bias: addressOf(block.convBias),
      initialState: before === 0 ? 0 : before + conv,
      lastState: after + conv,
      resets,
      y: u,
      batch,
      length,
      dim: dInner,
      width: dConv,
      silu: true,
    }),
    ...project({ x: u, weight: block.xProj.storage, y: projected, inputs: dInner, outputs: dtRank + 2 * dState }),
    ...(mixerNormEps === undefined ? [] : [mixerNormCommand(projected, rows, dtRank, dState, mixerNormEps)]),
    ...project({
      x: projected,
      xStride: projectedStride,
      weight: block.dtProj.storage,
      y: delta,
      inputs: dtRank,
      outputs: dInner,
    }),
    scanCommand(context, arena, {
      u,
      delta,
      A: addressOf(block.A),
      B,
      C: B + dState * ELEMENT,
      D: addressOf(block.D),
      z: xz + dInner * ELEMENT,
      deltaBias: addressOf(block.dtBias),
      resets,
      initialState: before === 0 ? 0 : before + ssm,
      lastState: after + ssm,
      y: delta,
      zStride: 2 * dInner * ELEMENT,
      stepStride: projectedStride,
      deltaSoftplus: true,
      discretization: 'euler',
      batch,
      length,
      dim: dInner,
      state: dState,
      groups: 1,
      constantB: false,
      constantC: false,
    }),
    ...project({
      x: delta,
      weight: block.outProj.storage,
      bias: addressOf(block.outProjBias),
      y: residual,
      inputs: dInner,
      outputs: dModel,
      accumulate: true,
    }),
  ];
}

/** Ids, or rows, of a chunk. */
const ROWS = 16;

function embeddingCommand({ storage }: Stored, ids: number, y: number, count: number, channels: number): Command {
  return {
    operation: 'embedding',
    tasks: Math.ceil(count / ROWS),
    call: { table: storage.address, layout: storage.layout ?? 'rows', ids, y, count, channels, taskRows: ROWS },
  };
}

function mixerNormCommand(projected: number, rows: number, dtRank: number, states: number, eps: number): Command {
  return {
    operation: 'mixerNorm',
    tasks: Math.ceil(rows / ROWS),
    call: { projected, rows, dtRank, state: states, eps, taskRows: ROWS },
  };
}

function copyCommand(from: number, to: number, bytes: number): Command {
  return { operation: 'copy', tasks: 1, call: { from, to, bytes } };
}
