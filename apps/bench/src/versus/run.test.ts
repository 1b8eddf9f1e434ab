import { type Backend, type BlockConfig, MambaError } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { describe, expect, it } from 'vitest';
import type { FoundBackend } from '../machine/backends.ts';
import { parseVersus } from '../schema/versus.ts';
import { runVersus } from './run.ts';
import { SYSTEMS, type System } from './systems.ts';

const [mamba] = SYSTEMS as readonly [System];
/** A second system of a kind of core, with more states to remember. */
const wide: System = {
  ...mamba,
  name: 'wide',
  label: 'many states',
  config: (size) => ({ ...(mamba.config(size) as BlockConfig<'mamba'>), dState: 64 }),
};
const small = { dModel: 16, batch: 2, lengths: [8, 4, 16] };

function found(edit: (backend: Backend) => void = () => {}): FoundBackend {
  return {
    known: { name: 'cpu', module: '@mamba/cpu', onProcessor: true },
    record: { name: 'cpu', status: 'ready', description: 'for a test', dtype: 'float32' },
    provider: {
      name: 'cpu',
      async create() {
        const backend = await cpu({ threads: 1 }).create();
        edit(backend);
        return backend;
      },
    },
  };
}

function replaceScan(replace: (original: Backend['selectiveScan']) => Backend['selectiveScan']) {
  return (backend: Backend): void => {
    const original = backend.selectiveScan.bind(backend);
    // Training runs the composition of a block, which calls operations.
    Object.defineProperty(backend, 'selectiveScan', { value: replace(original) });
  };
}

describe('runVersus', () => {
  it('checks each system, measures it over lengths, and comes back as it was written', async () => {
    const left: number[] = [];
    const backends: Backend[] = [];
    const spied = found((backend) => {
      backends.push(backend);
      const dispose = backend.dispose.bind(backend);
      Object.defineProperty(backend, 'dispose', {
        value: () => {
          left.push(backend.memory().tensors);
          return dispose();
        },
      });
    });
    let parts = 0;
    let advanced = 0;
    const report = await runVersus({
      ...small,
      backends: [spied],
      systems: [mamba, wide],
      observer: {
        begin: (count) => {
          parts = count;
        },
        advance: (count) => {
          advanced += count;
        },
      },
    });
    expect(parseVersus(JSON.stringify(report), 'the report')).toEqual(report);
    expect(report.agreements).toMatchObject([
      { system: 'mamba', status: 'agrees', check: { pass: true } },
      { system: 'wide', status: 'agrees', check: { pass: true } },
    ]);
    expect(report.points).toHaveLength(2 * 3 * 3);
    for (const { status, time, memory, perSecond } of report.points) {
      expect(status).toBe('measured');
      expect(time!.median).toBeGreaterThan(0);
      expect(perSecond).toBeGreaterThan(0);
      expect(memory!.peak).toBeGreaterThan(0);
    }
    const memoryOf = (name: string, measure: string) =>
      report.points.filter((p) => p.system === name && p.measure === measure).map(({ memory }) => memory!);
    // A state of 32 channels: 3 inputs of the convolution, and 16 or 64 states, in floats.
    expect(memoryOf('mamba', 'step').map(({ state }) => state)).toEqual([19, 19, 19].map((n) => n * 32 * 4));
    expect(memoryOf('wide', 'step').map(({ state }) => state)).toEqual([67, 67, 67].map((n) => n * 32 * 4));
    const peaks = memoryOf('mamba', 'forward').map(({ peak }) => peak);
    expect(peaks).toEqual(peaks.toSorted((a, b) => a - b));
    expect(report.crossings.find(({ measure, of }) => measure === 'step' && of === 'memory')).toEqual({
      ...{ backend: 'cpu', measure: 'step', of: 'memory', against: 'wide', less: 'always', length: 16 },
      ratio: expect.closeTo(67 / 19, 10),
    });
    expect(advanced).toBe(parts);
    expect(left).toEqual([0, 0]);
    expect(backends.every(({ disposed }) => disposed)).toBe(true);
  });

  it('refuses what has no room beforehand, with the memory that it would take', async () => {
    const report = await runVersus({
      ...small,
      backends: [found()],
      systems: [mamba],
      measures: ['forward', 'train'],
      memory: 100_000,
      lengths: [4, 2 ** 12, 2 ** 14],
    });
    const [short, long, longer] = report.points;
    expect(short).toMatchObject({ measure: 'forward', status: 'measured' });
    expect(long).toMatchObject({ measure: 'forward', status: 'refused', refused: { limit: 100_000 } });
    expect(longer!.refused!.bytes / long!.refused!.bytes).toBeCloseTo(4, 1);
    // x and y alone are 2 MiB.
    expect(long!.refused!.bytes).toBeGreaterThan(2 ** 21);
  });

  it('measures nothing of a system that disagrees, and goes on with the next', async () => {
    const wrong = replaceScan((original) => (u, delta, A, B, C, options) => {
      return original(u, delta, A, B, C, { ...options, D: undefined });
    });
    const report = await runVersus({ ...small, backends: [found(wrong)], systems: [mamba] });
    expect(report.agreements).toMatchObject([{ status: 'disagrees', check: { pass: false } }]);
    expect(report.points).toEqual([]);
  });

  it('tells of a system that fails, and of one that is out of memory in spite of the plan', async () => {
    const failing = (error: Error) => {
      let calls = 0;
      return replaceScan((original) => (u, ...rest) => {
        if (u.shape[1] === 8 && ++calls > 0) throw error;
        return original(u, ...rest);
      });
    };
    const options = { ...small, systems: [mamba], measures: ['train'] as const };
    const broken = await runVersus({ ...options, backends: [found(failing(new Error('out of luck')))] });
    expect(broken.points.map(({ length, status, reason }) => [length, status, reason])).toEqual([
      [4, 'measured', undefined],
      [8, 'failed', 'out of luck'],
    ]);
    const full = new MambaError('out-of-memory', 'there is no more');
    const refused = await runVersus({ ...options, backends: [found(failing(full))] });
    expect(refused.points[1]).toMatchObject({ status: 'refused', reason: 'there is no more' });
    expect(refused.points[1]!.refused!.bytes).toBeGreaterThan(0);
  });

  it('stops a system that gets too slow, with the time that it would take', async () => {
    const report = await runVersus({
      ...small,
      backends: [found()],
      systems: [mamba],
      measures: ['forward'],
      seconds: 1e-9,
    });
    expect(report.points.map(({ length, status }) => [length, status])).toEqual([
      [4, 'measured'],
      [8, 'stopped'],
    ]);
    expect(report.points[1]!.expected).toBeGreaterThan(1e-9);
  });

  it('keeps what it has where it is interrupted, and lists backends that are not here', async () => {
    const interruption = new AbortController();
    const report = await runVersus({
      ...small,
      backends: [
        found(),
        {
          known: { name: 'webgpu', module: '@mamba/webgpu', onProcessor: false },
          record: { name: 'webgpu', status: 'unavailable', reason: 'no adapter' },
        },
      ],
      systems: [mamba],
      signal: interruption.signal,
      observer: {
        step(label) {
          if (label.endsWith('step, length 8')) interruption.abort();
        },
      },
    });
    expect(report.interrupted).toBe(true);
    expect(report.points.map(({ measure, length }) => `${measure} ${length}`)).toEqual([
      'forward 4',
      'step 4',
      'forward 8',
    ]);
    expect(report.backends[1]).toMatchObject({ status: 'unavailable', reason: 'no adapter' });
  });

  it('refuses a comparison of nothing', async () => {
    await expect(runVersus({ ...small, backends: [found()], systems: [] })).rejects.toThrow('nothing to compare');
  });
});
