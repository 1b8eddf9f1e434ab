import { describe, expect, test } from 'vitest';
import { planScan, type ScanPlan } from './selective-scan-plan.ts';

const browser = { workgroup: 256, memory: 16_384, subgroup: 0 };
const shape = { batch: 1, length: 2048, dim: 1536, state: 16, groups: 1, bilinear: false, plain: false };

describe('the plan of a scan', () => {
  test('gives a lane 16 states, or all there are', () => {
    const statesOf = (state: number) => {
      const plan = planScan({ ...shape, state }, browser) as ScanPlan;
      return [plan.groups * (plan.lane === 'quad' ? 4 : 1), plan.lanes];
    };
    expect([1, 4, 16, 64].map(statesOf)).toEqual([
      [1, 1],
      [4, 1],
      [16, 1],
      [16, 4],
    ]);
  });

  test('cuts time where channels are few, into chunks that are worth their passes', () => {
    const chunks = (dim: number, length: number) => (planScan({ ...shape, dim, length }, browser) as ScanPlan).chunks;
    expect(chunks(32_768, 1 << 20)).toBe(1);
    expect(chunks(1536, 1 << 20)).toBe(171);
    expect(chunks(1536, 512)).toBe(16);
    expect(chunks(1536, 2048)).toBe(32);
    expect(chunks(64, 60)).toBe(1);
    expect(chunks(64, 1 << 20)).toBe(4096);
  });

  test('runs few channels and short sequences in one pass, where a workgroup has the memory', () => {
    const wide = { ...browser, memory: 32_768 };
    const tile = (change: Partial<typeof shape>, limits = wide) =>
      (planScan({ ...shape, plain: true, length: 512, ...change }, limits) as ScanPlan).tile;
    expect(tile({})).toBe(true);
    expect(tile({ dim: 16_384 })).toBe(false);
    expect(tile({ length: 2048 })).toBe(false);
    expect(tile({ state: 64 })).toBe(false);
    expect(tile({ plain: false })).toBe(false);
    expect(tile({}, browser)).toBe(false);
  });

  test('adds up by shuffles only within the smallest subgroup', () => {
    const reduce = (subgroup: number) =>
      (planScan(shape, { ...browser, subgroup }, { statesPerLane: 1 }) as ScanPlan).reduce;
    expect([0, 4, 8, 16, 32, 64].map(reduce)).toEqual([
      'workgroup',
      'workgroup',
      'workgroup',
      'subgroup',
      'subgroup',
      'subgroup',
    ]);
  });

  test('says why a state is too large', () => {
    expect(planScan({ ...shape, state: 5000 }, browser)).toContain('a state of 5000 needs workgroups of 512 lanes');
  });
});
