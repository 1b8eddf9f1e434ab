import { expect, it } from 'vitest';
import { measureCeilings } from './ceilings.ts';

it('measures two finite limits, on a thread, and says how', async () => {
  let pauses = 0;
  const ceilings = await measureCeilings({
    budget: 20,
    pause: async () => {
      pauses++;
    },
  });
  expect(ceilings.map(({ bound }) => bound)).toEqual(['operations', 'bandwidth']);
  for (const { perSecond, threads, how } of ceilings) {
    expect(perSecond).toBeGreaterThan(0);
    expect(perSecond).toBeLessThan(Number.POSITIVE_INFINITY);
    expect(threads).toBe(1);
    expect(how).toContain('WebAssembly');
  }
  expect(pauses).toBeGreaterThanOrEqual(10);
});
