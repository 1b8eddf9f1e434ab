import type { Backend } from '@mamba/core';
import { countersOf } from '../src/index.ts';

type Counts = ReturnType<typeof countersOf>;

/** What a piece of work adds to these counters of a backend. */
export async function counted<K extends keyof Counts>(
  backend: Backend,
  names: readonly K[],
  work: () => Promise<void>,
): Promise<Record<K, number>> {
  const before = countersOf(backend);
  await work();
  const after = countersOf(backend);
  return Object.fromEntries(names.map((name) => [name, after[name] - before[name]])) as Record<K, number>;
}
