/** What the pictures compute: the scan in the reader's hand, and the counts of the cost. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { reference } from '@mamba/reference';
import { expect, test } from 'vitest';
import { root } from '../../../scripts/lib.mjs';
import { attentionOperations, cacheBytes, scanOperations, stateBytes } from '../src/cost.ts';
import { runScan } from '../src/scan.ts';

test('each state is a course of its own, and the output is their mean', async () => {
  const backend = await reference().create();
  const u = [0, 1, -0.5, 0.25];
  const delta = [0.5, 1.5, 0, 3];
  const A = [-0.25, -1.5];
  const { y, h } = await runScan(backend, { u, delta, A });
  const expected = A.map((rate) => {
    let state = 0;
    return u.map((value, t) => {
      state = Math.exp(delta[t]! * rate) * state + delta[t]! * value;
      return state;
    });
  });
  for (const [n, course] of expected.entries())
    for (const [t, value] of course.entries()) expect(h[n]![t]).toBeCloseTo(value, 6);
  for (const [t, value] of y.entries()) expect(value).toBeCloseTo((expected[0]![t]! + expected[1]![t]!) / 2, 6);
  expect(backend.memory().bytes).toBe(0);
  await backend.dispose();
});

test('twice the length costs the scan twice, and attention four times', () => {
  expect(scanOperations(4096) / scanOperations(2048)).toBe(2);
  expect(attentionOperations(4096) / attentionOperations(2048)).toBe(4);
  expect(cacheBytes(4096) / cacheBytes(2048)).toBe(2);
});

test('24 layers remember what was measured as the state of mamba-130m, after any prompt', () => {
  const text = readFileSync(join(root, 'docs/performance/results/versus-h100.json'), 'utf8');
  const { generation } = JSON.parse(text) as { generation: { model: string; batch: number; state?: number }[] };
  const states = generation.filter(
    ({ model, batch, state }) => model === 'mamba' && batch === 1 && state !== undefined,
  );
  expect(states.length).toBeGreaterThan(1);
  for (const { state } of states) expect(24 * stateBytes()).toBe(state);
});
