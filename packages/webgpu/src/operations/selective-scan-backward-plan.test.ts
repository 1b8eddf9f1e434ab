import { describe, expect, test } from 'vitest';
import { planScanBackward, type ScanBackwardPlan, type ScanBackwardVariant } from './selective-scan-backward-plan.ts';
import { largestWorkspace, workspaceOf } from './selective-scan-backward-workspace.ts';
import type { ScanLimits, ScanShape } from './selective-scan-plan.ts';

const wide: ScanLimits = { workgroup: 1024, memory: 49_152, subgroup: 32 };
const browser: ScanLimits = { workgroup: 256, memory: 16_384, subgroup: 0 };
const shape: ScanShape = { batch: 8, length: 2048, dim: 2048, state: 16, groups: 1, bilinear: false, euler: true };

function planned(change: Partial<ScanShape> = {}, limits = wide, variant?: ScanBackwardVariant): ScanBackwardPlan {
  const plan = planScanBackward({ ...shape, ...change }, limits, variant);
  if (typeof plan === 'string') throw new Error(plan);
  return plan;
}

describe('the plan of a backward scan', () => {
  test('takes 64 channels of four lanes, and sums as many steps at once as memory holds', () => {
    const layout = (limits: ScanLimits, batch = 1) => planned({ batch }, limits).layout;
    const lanes = { kernel: 'euler', lanes: 4, perLane: 1, channels: 64, steps: 16, keep: false, stateChannels: 16 };
    expect(layout(wide)).toEqual({ ...lanes, summed: 16, rounds: 3 });
    expect(layout({ ...wide, memory: 16_384 })).toEqual({ ...lanes, summed: 8, rounds: 3 });
    expect(layout({ ...wide, memory: 16_384, subgroup: 8 })).toMatchObject({ channels: 32, summed: 4, rounds: 1 });
    expect(layout({ ...wide, memory: 16_384, subgroup: 4 })).toMatchObject({ channels: 16, summed: 4, rounds: 0 });
    expect(layout({ ...wide, memory: 1024 })).toMatchObject({ kernel: 'general' });
    // 8 rows of 2048 channels fill a device, so there tiles are half as wide.
    expect(layout(wide, 8)).toEqual({ ...lanes, channels: 32, summed: 16, rounds: 3 });
    expect(layout(browser)).toMatchObject({ lanes: 1, channels: 32, steps: 4, summed: 2, rounds: 0 });
  });

  test('leaves calls that the Euler kernel does not take to the general one', () => {
    const general = (change: Partial<ScanShape>) => planned(change).layout;
    expect(general({ euler: false })).toEqual({ kernel: 'general', vecsPerLane: 1, lanes: 4, workgroup: 64 });
    expect(general({ state: 10 })).toMatchObject({ lanes: 4 });
    expect(general({ state: 80 })).toMatchObject({ lanes: 32, workgroup: 64 });
    expect(general({ state: 3000 })).toMatchObject({ vecsPerLane: 3, lanes: 256, workgroup: 256 });
    expect(planScanBackward({ ...shape, state: 5000 }, wide)).toContain('a state of 5000 is more than the 4096');
  });

  test('cuts time where workgroups are few, into whole tiles', () => {
    const cut = (batch: number, dim: number, length: number) => {
      const { chunks, chunkLength } = planned({ batch, dim, length });
      return [chunks, chunkLength];
    };
    expect(cut(8, 2048, 2048)).toEqual([1, 2048]);
    expect(cut(64, 2048, 512)).toEqual([1, 512]);
    expect(cut(1, 1024, 2048)).toEqual([16, 128]);
    expect(cut(1, 1536, 8192)).toEqual([11, 768]);
    expect(cut(1, 64, 1 << 20)).toEqual([1024, 1024]);
    expect(cut(8, 128, 256)).toEqual([4, 64]);
    expect(cut(1, 64, 17)).toEqual([1, 32]);
    expect(planned({ length: 100 }, wide, { chunkLength: 33 })).toMatchObject({ chunks: 3, chunkLength: 48 });
  });

  test('takes as many rows at once as fit', () => {
    const flags = { constantB: false, constantC: false, resets: false, initial: false, last: false, given: false };
    const sizes = { ...shape, ...flags };
    const plan = planned();
    const [one, two, three] = [1, 2, 3].map((rows) => workspaceOf(sizes, plan, rows).size) as [number, number, number];
    expect(largestWorkspace(sizes, plan, 8, three - 1)).toMatchObject({ rows: 2, size: two });
    expect(largestWorkspace(sizes, plan, 8, one)).toMatchObject({ rows: 1 });
    expect(largestWorkspace(sizes, plan, 8, one - 1)).toBeUndefined();
    // Little more than twice u's size, where the states of all steps would be 16 times it.
    expect(workspaceOf(sizes, plan, 8).size).toBeLessThan(2.1 * 8 * 2048 * 2048);
    expect(workspaceOf({ ...sizes, given: true }, plan, 8).size).toBeLessThan(1.1 * 8 * 2048 * 2048);
  });
});
