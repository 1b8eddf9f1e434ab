import { expect, test } from 'vitest';
import { Operation } from './generated/calls.ts';
import { Heap, MAX_PAGES } from './memory/heap.ts';
import type { Context } from './operations/context.ts';
import { passesSelfTest } from './self-test.ts';
import { singleThread } from './threads/team.ts';
import { instantiate, loadModule } from './wasm/load.ts';

/** A context that runs everything but the commands of one operation. */
async function contextWithout(skipped: Operation | undefined): Promise<Context> {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: MAX_PAGES });
  const wasm = await instantiate(await loadModule(undefined, 'simd', false), memory);
  const heap = new Heap(memory, wasm.reserved());
  const team = singleThread(wasm);
  return {
    heap,
    wasm,
    wide: false,
    team: {
      threads: 1,
      run(program) {
        const [operation] = new Int32Array(memory.buffer, program.address + 4, 1);
        if (skipped === undefined || operation !== Operation[skipped]) team.run(program);
      },
    },
  };
}

test('the self-test passesSelfTest kernels that work', async () => {
  expect(passesSelfTest(await contextWithout(undefined))).toBe(true);
});

test.each(['linear', 'convolution', 'scan'] as const)('and refuses them where %s does not', async (operation) => {
  expect(passesSelfTest(await contextWithout(operation))).toBe(false);
});
