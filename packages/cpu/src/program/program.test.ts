import { expect, test } from 'vitest';
import { CALL, COMMAND_BYTES } from '../generated/calls.ts';
import { type Arena, Heap } from '../memory/heap.ts';
import { type Command, Program } from './program.ts';

test('a call stands in a command by the names of its fields: integers, floats, flags and enumerations', () => {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const heap = new Heap(memory, 64);
  const arena: Arena = { result: (bytes) => heap.allocate(bytes), scratch: (bytes) => heap.allocate(bytes) };
  const { address, count } = new Program(heap, arena, [
    { operation: 'copy', tasks: 1, call: { from: 2 ** 31 + 64, to: 128, bytes: 8 } },
    {
      operation: 'mixerNorm',
      tasks: 3,
      call: {
        dtWeight: 256,
        BWeight: 0,
        CWeight: 0,
        projected: 64,
        rows: 48,
        dtRank: 5,
        state: 16,
        eps: 0.5,
        taskRows: 16,
      },
    },
    {
      operation: 'embedding',
      tasks: 2,
      call: { table: 64, layout: 'q8', ids: 128, y: 192, count: 20, channels: 7, taskRows: 16 },
    },
  ]);
  expect(count).toBe(3);
  const words = (index: number, at: number, length: number) => [
    ...new Int32Array(memory.buffer, address + index * COMMAND_BYTES + at, length),
  ];
  expect(words(0, 0, 3)).toEqual([0, 5, 1]);
  expect(words(0, CALL, 3)).toEqual([-(2 ** 31) + 64, 128, 8]);
  expect(words(1, 0, 3)).toEqual([0, 4, 3]);
  expect(words(1, CALL, 9)).toEqual([64, 256, 0, 0, 48, 5, 16, 0x3f000000, 16]);
  expect(words(2, CALL, 7)).toEqual([64, 4, 128, 192, 20, 7, 16]);
});

test('a wrong, a missing or an additional field does not compile', () => {
  const commands: Command[] = [
    { operation: 'copy', tasks: 1, call: { from: 0, to: 0, bytes: 0 } },
    // @ts-expect-error `bytes` is missing
    { operation: 'copy', tasks: 1, call: { from: 0, to: 0 } },
    // @ts-expect-error `count` is no field of a copy
    { operation: 'copy', tasks: 1, call: { from: 0, to: 0, bytes: 0, count: 0 } },
    // @ts-expect-error these are the fields of another operation
    { operation: 'copy', tasks: 1, call: { logits: 0, ids: 0, vocab: 0 } },
    {
      operation: 'embedding',
      tasks: 1,
      // @ts-expect-error no layout has this name
      call: { table: 0, layout: 'float64', ids: 0, y: 0, count: 0, channels: 0, taskRows: 0 },
    },
  ];
  expect(commands).toHaveLength(5);
});
