/** Blocks of the fused model's kinds, for core: their state is new tensors in every call. */
import { sizeOf } from '@mamba/core';
import { type FusionContext, slotShape } from '@mamba/core/driver';
import type { Storage } from '../memory/storage.ts';
import { addressOf, type Context, ELEMENT } from '../operations/context.ts';
import { packedBytes } from '../operations/linear.ts';
import type { Command } from '../program/program.ts';
import type { CoreBlock } from './core-block.ts';
import type { FusedBlock } from './fused.ts';

export function coreFused(context: Context, fusion: FusionContext<Storage>, block: FusedBlock): CoreBlock {
  return {
    prepare(arena, _, { x, norm, y, accumulate, state, positions, resets, batch, length }) {
      const rows = batch * length;
      const shapes = block.slots.map((slot) => slotShape(slot, positions)!);
      const after = shapes.map((shape) => arena.result(sizeOf(shape) * ELEMENT));
      const commands: Command[] = [];
      block.commands(commands, {
        ...{ context, arena, x, norm, y, accumulate, batch, length },
        scratch: arena.scratch(rows * block.scratch * ELEMENT).address,
        packed: arena.scratch(packedBytes(context, rows, block.packed)).address,
        before: block.slots.map(({ name }) => (state === undefined ? 0 : addressOf(fusion.device(state[name]!)))),
        after: after.map(({ address }) => address),
        resets: addressOf(resets && fusion.device(resets)),
      });
      return {
        commands,
        state: () =>
          Object.fromEntries(
            block.slots.map(({ name }, index) => [
              name,
              fusion.tensor(after[index]!, { shape: shapes[index]!, dtype: 'float32' }),
            ]),
          ),
      };
    },
  };
}
