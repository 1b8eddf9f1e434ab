import { expect, it } from 'vitest';
import { measureCeilings } from './ceilings.ts';

it.each([1, 2])('measures two finite limits on %i threads, and says how', async (threads) => {
  let pauses = 0;
  const ceilings = await measureCeilings({
    budget: 20,
    threads,
    pause: async () => {
      pauses++;
    },
  });
  expect(ceilings.map(({ bound }) => bound)).toEqual(['operations', 'bandwidth']);
  expect(new Set(ceilings.map(({ id }) => id)).size).toBe(2);
  for (const { perSecond, how, ...ceiling } of ceilings) {
    expect(perSecond).toBeGreaterThan(0);
    expect(perSecond).toBeLessThan(Number.POSITIVE_INFINITY);
    expect(ceiling.threads).toBe(threads);
    expect(how).toContain('WebAssembly');
  }
  expect(pauses).toBeGreaterThanOrEqual(10);
});

it('stops its threads where it is stopped', async () => {
  const pause = async (): Promise<void> => {
    throw new Error('stopped');
  };
  await expect(measureCeilings({ budget: 20, threads: 2, pause })).rejects.toThrow('stopped');
});
