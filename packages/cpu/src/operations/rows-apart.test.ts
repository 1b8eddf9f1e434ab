/** Commands whose rows lie apart, or whose result takes the place of an input, as only programs have them. */
import { expect, test } from 'vitest';
import { runCommands } from '../program/program.ts';
import { createRuntime } from '../runtime.ts';
import { ELEMENT } from './context.ts';
import { layerNormCommand } from './layer-norm.ts';
import { multiplyCommand } from './multiply.ts';

test.each([1, 2])(
  'multiply of two halves of rows, over the first, and layerNorm of the other, %i threads',
  async (threads) => {
    const runtime = await createRuntime({ threads, build: 'auto', revectorize: false, wasm: undefined });
    const { heap, team } = runtime;
    expect(team.threads).toBe(threads);
    const [rows, half] = [5, 8195];
    heap.run((arena) => {
      const both = arena.scratch(rows * 2 * half * ELEMENT);
      const normed = arena.scratch(rows * half * ELEMENT);
      const values = heap.floats(both, rows * 2 * half);
      const given = Float32Array.from(values, (_, index) => Math.sin(index) + 2);
      values.set(given);
      const stride = 2 * half * ELEMENT;
      const second = both.address + half * ELEMENT;
      runCommands(
        heap,
        arena,
        team,
        multiplyCommand({
          ...{ a: both.address, aStride: stride, b: second, bStride: stride, y: both.address, yStride: stride },
          ...{ rows, channels: half, activation: 'relu2', scale: 0.5 },
        }),
        layerNormCommand({
          ...{ x: second, xStride: stride, weight: 0, bias: 0, y: normed.address },
          ...{ rows, channels: half, eps: 0 },
        }),
      );
      for (let row = 0; row < rows; row++) {
        const at = row * 2 * half;
        const right = [...given.subarray(at + half, at + 2 * half)];
        const mean = right.reduce((sum, value) => sum + value, 0) / half;
        const deviation = Math.sqrt(right.reduce((sum, value) => sum + (value - mean) ** 2, 0) / half);
        for (const c of [0, 1, 4096, 8191, 8192, half - 1]) {
          expect(values[at + c]).toBeCloseTo(0.5 * given[at + c]! ** 2 * right[c]!, 5);
          expect(values[at + half + c]).toBe(right[c]);
          expect(heap.floats(normed, rows * half)[row * half + c]).toBeCloseTo((right[c]! - mean) / deviation, 5);
        }
      }
    });
    await runtime.dispose();
  },
);
