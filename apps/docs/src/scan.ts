// The scan that a reader holds in the hand: one channel, some states, and every state of every step to look at.
import type { Backend } from '@mamba/core';

export interface Inputs {
  /** A number a token: what enters. */
  readonly u: readonly number[];
  /** A step size a token, 0 or more: how much the token replaces of what is remembered. */
  readonly delta: readonly number[];
  /** A rate a state, below 0. */
  readonly A: readonly number[];
}

export interface Course {
  /** The output of each token. */
  readonly y: readonly number[];
  /** The states after each token, a list for each of A. */
  readonly h: readonly (readonly number[])[];
}

/**
 * Runs `selectiveScan` on a batch whose rows differ in C alone. The first row reads the mean of all states, which is y;
 * each other row reads one state, so that its output is that state's course.
 */
export async function runScan(backend: Backend, { u, delta, A }: Inputs): Promise<Course> {
  const length = u.length;
  const state = A.length;
  const batch = state + 1;
  const tensor = (shape: readonly number[], values: readonly number[]) =>
    backend.upload({ dtype: 'float32', shape, data: Float32Array.from(values) });
  const rows = <T>(make: (row: number) => readonly T[]): T[] =>
    Array.from({ length: batch }, (_, row) => make(row)).flat();
  const reads = (row: number): number[] => A.map((_, n) => (row === 0 ? 1 / state : Number(n === row - 1)));
  const held = [
    tensor(
      [batch, length, 1],
      rows(() => u),
    ),
    tensor(
      [batch, length, 1],
      rows(() => delta),
    ),
    tensor([1, state], A),
    tensor([batch, length, state], Array<number>(batch * length * state).fill(1)),
    tensor(
      [batch, length, state],
      rows((row) => u.flatMap(() => reads(row))),
    ),
  ] as const;
  try {
    const scan = backend.selectiveScan(...held);
    const values = Array.from(await backend.read(scan.y));
    scan.y.dispose();
    scan.lastState.dispose();
    const [y = [], ...h] = rows((row) => [values.slice(row * length, (row + 1) * length)]);
    return { y, h };
  } finally {
    for (const input of held) input.dispose();
  }
}
