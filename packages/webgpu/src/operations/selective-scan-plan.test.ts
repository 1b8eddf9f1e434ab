import { describe, expect, test } from 'vitest';
import { planScan, type ScanLimits, type ScanPlan, type ScanShape, type ScanVariant } from './selective-scan-plan.ts';

const browser = { workgroup: 256, memory: 16_384, subgroup: 0 };
const shape = { batch: 1, length: 2048, dim: 1536, state: 16, groups: 1, bilinear: false, euler: false };

function planned(shape: ScanShape, limits: ScanLimits = browser, variant?: ScanVariant): ScanPlan {
  const plan = planScan(shape, limits, variant);
  if (typeof plan === 'string') throw new Error(plan);
  return plan;
}

function general(...args: Parameters<typeof planned>) {
  const { layout } = planned(...args);
  if (layout.kernel !== 'general') throw new Error('the plan is for the Euler kernel');
  return layout;
}

describe('the plan of a scan', () => {
  test('gives a lane 16 states, or all there are', () => {
    const statesOf = (state: number) => {
      const { vec, vecsPerLane, lanes } = general({ ...shape, state });
      return [vecsPerLane * (vec === 'quad' ? 4 : 1), lanes];
    };
    expect([1, 4, 16, 64].map(statesOf)).toEqual([
      [1, 1],
      [4, 1],
      [16, 1],
      [16, 4],
    ]);
  });

  test('cuts time where channels are few, into chunks that are worth their passes', () => {
    const chunks = (dim: number, length: number) => planned({ ...shape, dim, length }).chunks;
    expect(chunks(32_768, 1 << 20)).toBe(1);
    expect(chunks(1536, 1 << 20)).toBe(171);
    expect(chunks(1536, 512)).toBe(16);
    expect(chunks(1536, 2048)).toBe(32);
    expect(chunks(64, 60)).toBe(1);
    expect(chunks(64, 1 << 20)).toBe(4096);
  });

  test('takes the Euler kernel where it is the faster one and fits', () => {
    const wide = { workgroup: 1024, memory: 49_152, subgroup: 32 };
    const layout = (change: Partial<ScanShape>, limits = wide) => {
      const { layout } = planned({ ...shape, euler: true, ...change }, limits);
      return layout.kernel === 'euler' ? [layout.lanes, layout.channels, layout.slices] : undefined;
    };
    expect(layout({})).toEqual([4, 12, 8]);
    expect(layout({}, { ...wide, workgroup: 256, memory: 32_768 })).toEqual([4, 8, 4]);
    expect(layout({ dim: 6144 })).toEqual([4, 8, 1]);
    expect(layout({ dim: 16_384 })).toEqual([2, 16, 1]);
    expect(layout({ dim: 2048, batch: 64 })).toEqual([1, 64, 1]);
    expect(layout({ dim: 16_384 }, { ...wide, subgroup: 0 })).toEqual([1, 64, 1]);
    expect(layout({ length: 8192 })).toEqual([2, 16, 1]);
    expect(layout({}, { ...wide, memory: 1024 })).toBeUndefined();
    expect(layout({}, { ...wide, subgroup: 0 })).toBeUndefined();
    expect(layout({ state: 20 })).toBeUndefined();
    expect(layout({ state: 10 })).toBeUndefined();
    expect(layout({ euler: false })).toBeUndefined();
  });

  test('cuts a long sequence of few channels for the Euler kernel', () => {
    const wide = { workgroup: 1024, memory: 49_152, subgroup: 32 };
    const cut = (dim: number, length: number) => {
      const { chunks, chunkLength } = planned({ ...shape, euler: true, dim, length }, wide);
      return [chunks, chunkLength];
    };
    expect(cut(512, 1536)).toEqual([1, 1536]);
    expect(cut(512, 2048)).toEqual([16, 128]);
    expect(cut(512, 8192)).toEqual([32, 256]);
    expect(cut(1536, 32_768)).toEqual([64, 512]);
    expect(cut(64, 1 << 20)).toEqual([256, 4096]);
    expect(cut(2561, 1 << 20)).toEqual([1, 1 << 20]);
  });

  test('adds up by shuffles only within the smallest subgroup', () => {
    const reduce = (subgroup: number) => general(shape, { ...browser, subgroup }, { statesPerLane: 1 }).reduce;
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
