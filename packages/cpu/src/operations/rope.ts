import type { Allocation } from '../memory/allocator.ts';
import { runCommands, threadScratch } from '../program/program.ts';
import { addressOf, type Call, type Context, ELEMENT, type Stored } from './context.ts';

export function rope(context: Context, { x, ...call }: Call<'rope'>): Allocation {
  return turn(context, call, x, 1);
}

export function ropeBackward(context: Context, { dy, ...call }: Call<'ropeBackward'>): Allocation {
  return turn(context, call, dy, -1);
}

/** Values of a task, which take some 5 µs. */
const TASK = 8192;

function turn({ heap, team }: Context, call: Omit<Call<'rope'>, 'x'>, x: Stored, sign: 1 | -1): Allocation {
  const { positions, offset, frequencies, interleaved, batch, length, heads, headDim } = call;
  return heap.run((arena) => {
    const tokens = batch * length;
    const pairs = frequencies.length;
    const y = arena.result(tokens * heads * headDim * ELEMENT);
    const turns = arena.scratch(2 * pairs * ELEMENT);
    const scratch = threadScratch(arena, team, 2 * Math.ceil(pairs / 4) * 4 * ELEMENT);
    const taskTokens = Math.max(1, Math.floor(TASK / (heads * headDim)));
    heap.integers(turns, 2 * pairs).set(turnsOf(frequencies));
    runCommands(heap, arena, team, {
      operation: 'rope',
      tasks: Math.ceil(tokens / taskTokens),
      call: {
        x: addressOf(x),
        y: y.address,
        positions: addressOf(positions),
        offset,
        turns: turns.address,
        pairs,
        interleaved,
        sign,
        length,
        heads,
        headDim,
        tokens,
        taskTokens,
        scratch: scratch.address,
        scratchStride: scratch.stride,
      },
    });
    return y;
  });
}

/** Frequencies in parts of 2^64 of a turn, as two words each, the high one first. */
export function turnsOf(frequencies: readonly number[]): Int32Array {
  return Int32Array.from(
    frequencies.flatMap((frequency) => {
      const scaled = (frequency / (2 * Math.PI)) * 2 ** 32;
      const high = Math.floor(scaled);
      return [(high % 2 ** 32) | 0, Math.floor((scaled - high) * 2 ** 32) | 0];
    }),
  );
}
