import { sizeOf, type Tensor } from '@mamba/core';
import {
  type BlockConfig,
  type BlockKernel,
  type BlockWeights,
  type FuseBlock,
  type FusedBlocks,
  type FusionContext,
  slotShape,
} from '@mamba/core/driver';
import type { Storage } from '../memory/storage.ts';
import { addressOf, type Context, ELEMENT } from '../operations/context.ts';
import { packedBytes } from '../operations/linear.ts';
import { type Command, Program } from '../program/program.ts';
import type { FusedBlock } from './fused.ts';
import { FUSED_KINDS, fuseBlock } from './kinds.ts';

/** Functions that make the kernel of one block, for each kind that has a fused form. */
export function fusedBlocks(context: Context): FusedBlocks<Storage> {
  const fuse: FuseBlock<Storage> = (...args) => fusedBlock(context, ...args);
  return Object.fromEntries(FUSED_KINDS.map((kind) => [kind, fuse]));
}

/**
 * Makes a kernel that runs one block as one program, for models with a kind that has no fused form, and for
 * `createBlock`.
 */
function fusedBlock(
  context: Context,
  fusion: FusionContext<Storage>,
  config: BlockConfig,
  weights: BlockWeights<Tensor>,
  dModel: number,
): BlockKernel | undefined {
  const block = fuseBlock(
    config,
    mapBlock(weights, (tensor) => fusion.device(tensor)),
    dModel,
  );
  return block && { forward: (call) => forward(context, fusion, block, dModel, call) };
}

/** Maps the weights of a block that are present, by key. */
export function mapBlock<T, R>(weights: BlockWeights<T>, map: (weight: T) => R): BlockWeights<R> {
  return Object.fromEntries(
    Object.entries(weights).map(([key, weight]) => [key, weight === undefined ? undefined : map(weight)]),
  );
}

function forward(
  context: Context,
  fusion: FusionContext<Storage>,
  block: FusedBlock,
  dModel: number,
  { x, state, positions, resets, batch, length }: Parameters<BlockKernel['forward']>[0],
): ReturnType<BlockKernel['forward']> {
  const { heap, team } = context;
  const rows = batch * length;
  const shapes = block.slots.map((slot) => slotShape(slot, positions)!);
  const outcome = heap.run((arena) => {
    const y = arena.result(rows * dModel * ELEMENT);
    const after = shapes.map((shape) => arena.result(sizeOf(shape) * ELEMENT));
    const commands: Command[] = [];
    block.commands(commands, {
      context,
      arena,
      x: addressOf(fusion.device(x)),
      norm: undefined,
      y: y.address,
      accumulate: false,
      scratch: arena.scratch(rows * block.scratch * ELEMENT).address,
      packed: arena.scratch(packedBytes(context, rows, block.packed)).address,
      before: block.slots.map(({ name }) => (state === undefined ? 0 : addressOf(fusion.device(state[name]!)))),
      after: after.map(({ address }) => address),
      resets: addressOf(resets && fusion.device(resets)),
      batch,
      length,
    });
    team.run(new Program(heap, arena, commands));
    return { y, after };
  });
  return {
    y: fusion.tensor(outcome.y, { shape: [batch, length, dModel], dtype: 'float32' }),
    state: Object.fromEntries(
      block.slots.map(({ name }, index) => [
        name,
        fusion.tensor(outcome.after[index]!, { shape: shapes[index]!, dtype: 'float32' }),
      ]),
    ),
  };
}
