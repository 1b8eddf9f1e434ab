import type { Backend } from '@mamba/core';
import { MambaError, modelConfig } from '@mamba/core';
import { reference } from '@mamba/reference';
import { describe, expect, it } from 'vitest';
import { benchBlock } from '../cases/block.ts';
import type { Suite } from '../cases/contract.ts';
import { benchModel } from '../cases/model.ts';
import { scanCase } from '../cases/selective-scan.ts';
import type { FoundBackend } from '../machine/backends.ts';
import { parseReport } from '../schema/report.ts';
import { runBench } from './run.ts';

const lengths = [8, 16, 1500];
const scan: Suite = {
  name: 'scan',
  summary: 'small',
  sweep: 'length',
  // The last one is longer than the inputs' period.
  cases: () => lengths.map((length) => scanCase({ batch: 1, length, dim: 6, state: 4 })),
};
const block: Suite = { name: 'block', summary: 'small', cases: () => [benchBlock(16, 5)] };
const model: Suite = {
  name: 'model',
  summary: 'small',
  cases: () => [
    benchModel(modelConfig({ layers: 2, dModel: 16, vocabSize: 40 }), { prefill: 12, decode: 3, batches: [1] }),
  ],
};

/** The reference under another name, as a backend that has to be checked. */
function candidate(name: string, edit: (backend: Backend) => void = () => {}, slow?: string): FoundBackend {
  return {
    known: { name, module: '@mamba/reference', onProcessor: true },
    record: { name, status: 'ready', dtype: 'float64', ...(slow !== undefined && { slow }) },
    provider: {
      name,
      async create() {
        const backend = await reference().create();
        edit(backend);
        return backend;
      },
    },
  };
}

function replaceScan(make: (scan: Backend['selectiveScan']) => Backend['selectiveScan']): (backend: Backend) => void {
  return (backend) => {
    const original = backend.selectiveScan.bind(backend);
    Object.defineProperty(backend, 'selectiveScan', { value: make(original) });
  };
}

describe('runBench', () => {
  it('measures every suite of a backend end to end', async () => {
    const backends: Backend[] = [];
    const sound = candidate('sound', (backend) => backends.push(backend));
    const report = await runBench({ suites: [scan, block, model], backends: [sound], effort: 'quick' });
    expect(parseReport(JSON.stringify(report), 'the report')).toEqual(report);
    expect(report.interrupted).toBe(false);
    expect(report.results.map(({ case: id }) => id)).toEqual([
      'scan/length-8-dim-6-state-4',
      'scan/length-16-dim-6-state-4',
      'scan/length-1500-dim-6-state-4',
      'block/length-5',
      'model/load-layers-2-d16',
      'model/prefill-12-layers-2-d16',
      'model/first-token-12-layers-2-d16',
      'model/decode-3-layers-2-d16',
    ]);
    for (const result of report.results) {
      expect(result).toMatchObject({ status: 'measured', check: { pass: true, relativeError: 0 } });
      expect(result.rate!.perSecond).toBeGreaterThan(0);
      expect(result.time!.p10).toBeLessThanOrEqual(result.time!.p90);
      if (result.case !== 'model/load-layers-2-d16') expect(result.ceiling!.share).toBeGreaterThan(0);
    }
    expect(report.slopes).toEqual([
      {
        suite: 'scan',
        backend: 'sound',
        over: 'length',
        slope: expect.any(Number),
        points: 3,
        shape: { batch: 1, dim: 6, state: 4 },
      },
    ]);
    expect(backends).toHaveLength(3);
    expect(backends.every(({ disposed }) => disposed)).toBe(true);
  });

  it('never times a backend that disagrees, throws or does not support the case, and goes on with the others', async () => {
    let wrongCalls = 0;
    const wrong = candidate(
      'wrong',
      replaceScan((original) => (u, delta, A, B, C, options) => {
        wrongCalls++;
        return original(u, delta, A, B, C, { ...options, D: undefined });
      }),
    );
    const broken = candidate(
      'broken',
      replaceScan(() => () => {
        throw new Error('out of luck');
      }),
    );
    const limited = candidate(
      'limited',
      replaceScan(() => () => {
        throw new MambaError('unsupported', 'too many states');
      }),
    );
    const absent = candidate('absent', () => {
      throw new Error('gone since it was found');
    });
    const report = await runBench({
      suites: [scan],
      backends: [wrong, broken, limited, absent, candidate('sound'), candidate('slow', undefined, 'software')],
      effort: 'quick',
    });
    const of = (name: string) => report.results.filter(({ backend }) => backend === name);
    expect(of('wrong').map(({ status }) => status)).toEqual(['disagrees', 'disagrees', 'disagrees']);
    expect(of('wrong')[0]).toMatchObject({ check: { pass: false } });
    expect(of('broken')[0]).toMatchObject({ status: 'failed', reason: 'out of luck' });
    expect(of('limited')[0]).toMatchObject({ status: 'skipped', reason: 'too many states' });
    expect(of('absent')).toHaveLength(lengths.length);
    expect(of('absent')[0]).toMatchObject({ status: 'failed', reason: 'gone since it was found' });
    for (const name of ['wrong', 'broken', 'limited', 'absent'])
      expect(of(name).every(({ time }) => time === undefined)).toBe(true);
    expect(wrongCalls).toBe(lengths.length);
    expect(of('sound').every(({ status }) => status === 'measured')).toBe(true);
    expect(of('slow')[0]).toMatchObject({ status: 'measured', slow: 'software' });
    expect(of('slow')[0]).not.toHaveProperty('ceiling');
    // Slow backends run after all others.
    expect(report.results.findIndex(({ backend }) => backend === 'slow')).toBe(5 * lengths.length);
  });

  it('skips what has no room in the memory that is free, and says so', async () => {
    const large: Suite = {
      name: 'block',
      summary: 'too large',
      cases: () => [{ ...benchBlock(16, 5), needs: (candidates) => candidates * 2 ** 60 }],
    };
    const report = await runBench({ suites: [large], backends: [candidate('sound')], effort: 'quick' });
    expect(report.results).toMatchObject([
      { status: 'skipped', reason: expect.stringMatching(/GiB with its check, and .* are free/) },
    ]);
  });

  it('keeps what it has where it is stopped', async () => {
    const interruption = new AbortController();
    const backends: Backend[] = [];
    const report = await runBench({
      suites: [scan, block],
      backends: [candidate('sound', (backend) => backends.push(backend))],
      effort: 'quick',
      signal: interruption.signal,
      observer: {
        step(label) {
          if (label.startsWith('scan/length-1500')) interruption.abort();
        },
      },
    });
    expect(report.interrupted).toBe(true);
    expect(report.results.map(({ case: id, status }) => `${id} ${status}`)).toEqual([
      'scan/length-8-dim-6-state-4 measured',
      'scan/length-16-dim-6-state-4 measured',
    ]);
    expect(parseReport(JSON.stringify(report), 'the report')).toEqual(report);
    expect(backends.every(({ disposed }) => disposed)).toBe(true);
  });

  it('leaves no tensor behind in a case', async () => {
    const left: number[] = [];
    const spied = candidate('spied', (backend) => {
      const dispose = backend.dispose.bind(backend);
      Object.defineProperty(backend, 'dispose', {
        value: () => {
          left.push(backend.memory().tensors);
          return dispose();
        },
      });
    });
    await runBench({ suites: [scan, block, model], backends: [spied], effort: 'quick' });
    expect(left).toEqual([0, 0, 0]);
  });
});
