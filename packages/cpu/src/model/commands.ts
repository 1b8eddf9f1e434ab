/** The commands of a pass through the model: embedding, the blocks onto the residual, and the head. */
import type { ModelConfig, ModelWeights } from '@mamba/core/driver';
import type { FusedBlock } from '../blocks/fused.ts';
import type { Arena } from '../memory/heap.ts';
import { addressOf, type Context, ELEMENT, type Stored } from '../operations/context.ts';
import { copyCommand } from '../operations/copy.ts';
import { linearCommands, packedBytes } from '../operations/linear.ts';
import type { Command } from '../program/program.ts';
import type { StateLayout } from './state.ts';

export interface Pass {
  /** int32 `[batch, length]` */
  readonly ids: number;
  /** int32 `[batch, length]`; 0 means none. */
  readonly resets: number;
  /**
   * Addresses of the state before and after the pass. They are the same where it moves on in place; 0 before means
   * zeros.
   */
  readonly before: number;
  readonly after: number;
  readonly batch: number;
  readonly length: number;
  /** Addresses that take the residual before each layer, where hidden states are asked for. */
  readonly hidden: readonly number[] | undefined;
}

/**
 * Returns the commands of the embedding and all layers, and the address of the residual `[batch, length, dModel]`
 * afterwards.
 */
export function layerCommands(
  context: Context,
  arena: Arena,
  config: ModelConfig,
  weights: ModelWeights<Stored>,
  blocks: readonly FusedBlock[],
  layout: StateLayout,
  pass: Pass,
): { readonly commands: Command[]; readonly residual: number } {
  const { dModel, normEps: eps } = config;
  const { batch, length, resets } = pass;
  const rows = batch * length;
  const residual = arena.scratch(rows * dModel * ELEMENT).address;
  const scratch = arena.scratch(rows * most(blocks, 'scratch') * ELEMENT).address;
  const packed = arena.scratch(packedBytes(context, rows, most(blocks, 'packed'))).address;
  const commands: Command[] = [embeddingCommand(weights.embedding, pass.ids, residual, rows, dModel)];
  for (const [layer, block] of blocks.entries()) {
    const kept = pass.hidden?.[layer];
    if (kept !== undefined) commands.push(copyCommand(residual, kept, rows * dModel * ELEMENT));
    block.commands(commands, {
      context,
      arena,
      x: residual,
      norm: { weight: addressOf(weights.layers[layer]!.norm), eps },
      y: residual,
      accumulate: true,
      scratch,
      packed,
      before: layout.addresses(pass.before, layer, batch),
      after: layout.addresses(pass.after, layer, batch),
      resets,
      batch,
      length,
    });
  }
  return { commands, residual };
}

/** Returns the commands of the final norm and the head over `rows` of the residual. */
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

/** The most that any block needs. Blocks share this memory. */
function most(blocks: readonly FusedBlock[], what: 'scratch' | 'packed'): number {
  let size = 1;
  for (const block of blocks) size = Math.max(size, block[what]);
  return size;
}

/** Ids of a task. */
const TASK_ROWS = 16;

function embeddingCommand({ storage }: Stored, ids: number, y: number, count: number, channels: number): Command {
  return {
    operation: 'embedding',
    tasks: Math.ceil(count / TASK_ROWS),
    call: { table: storage.address, layout: storage.layout ?? 'rows', ids, y, count, channels, taskRows: TASK_ROWS },
  };
}
