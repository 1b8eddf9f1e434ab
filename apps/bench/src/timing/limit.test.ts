import { expect, it } from 'vitest';
import type { Ceiling } from '../schema/report.ts';
import { applyCeiling, applyLimit, besideItsLimit } from './limit.ts';

const ceilings: Ceiling[] = [
  { id: 'ops', bound: 'operations', perSecond: 1e9, threads: 1, how: '' },
  { id: 'mem', bound: 'bandwidth', perSecond: 1e8, threads: 1, how: '' },
];
const found = (
  details: Record<string, number | string | boolean>,
  extra: { slow?: string; onProcessor?: boolean } = {},
) => ({
  known: { name: 'x', module: 'x', onProcessor: extra.onProcessor ?? true },
  record: { name: 'x', status: 'ready' as const, details, ...(extra.slow !== undefined && { slow: extra.slow }) },
});

it('takes the limit that leaves the most time', () => {
  const work = { operations: 1e9, bytes: 5e7 };
  expect(applyCeiling(work, 2, found({}), ceilings)).toEqual({ ceiling: { id: 'ops', seconds: 1, share: 0.5 } });
  const traffic = { operations: 1e6, bytes: 1e8 };
  expect(applyCeiling(traffic, 1.25, found({ threads: 1 }), ceilings)).toEqual({
    ceiling: { id: 'mem', seconds: 1, share: 0.8 },
  });
});

it('compares nothing with limits that are not its own', () => {
  const work = { operations: 1e9, bytes: 5e7 };
  expect(applyCeiling(work, 1, found({ threads: 4 }), ceilings)).toEqual({});
  expect(applyCeiling(work, 1, found({ build: 'relaxed' }), ceilings)).toEqual({});
  expect(applyCeiling(work, 1, found({ build: 'relaxed', revectorized: true }), ceilings)).toEqual({});
  const relaxed = ceilings.map((ceiling) => ({ ...ceiling, mode: 'relaxed' as const }));
  expect(applyCeiling(work, 1, found({ build: 'relaxed' }), relaxed)).toHaveProperty('ceiling');
  expect(applyCeiling(work, 1, found({}, { slow: 'software' }), ceilings)).toEqual({});
  expect(applyCeiling(work, 1, found({}, { onProcessor: false }), ceilings)).toEqual({});
  expect(applyCeiling(undefined, 1, found({}), ceilings)).toEqual({});
});

it('compares with the limit that was measured in turns, of the kind that binds', async () => {
  const asked: string[] = [];
  const runner = {
    async limit(bound: string) {
      asked.push(bound);
      return 5e8;
    },
  };
  const timer = { time: async () => 7 };
  const work = { operations: 1e9, bytes: 5e7 };
  const beside = besideItsLimit(timer, runner, work, found({}), ceilings);
  expect([await beside.time(1), await beside.limit!(), asked]).toEqual([7, 5e8, ['operations']]);
  expect(applyLimit(work, 4, 5e8, found({}), ceilings)).toEqual({
    ceiling: { id: 'ops', seconds: 2, share: 0.5, inTurns: true },
  });
  expect(besideItsLimit(timer, runner, work, found({ threads: 4 }), ceilings)).toBe(timer);
  expect(applyLimit(work, 4, undefined, found({}), ceilings)).toEqual({});
});
