import { type Backend, parameterCount } from '@mamba/core';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FoundBackend } from '../machine/backends.ts';
import { styleFor } from '../report/style.ts';
import { renderSuite } from '../report/table.ts';
import { runBench } from '../run/run.ts';
import { parseReport } from '../schema/report.ts';
import type { Suite } from './contract.ts';
import { peakMemory } from './peak-memory.ts';
import { HEADS, LANGUAGE, trainCase, trainSuite } from './train.ts';

/** The reference under another name, as a backend that has to be checked. */
function candidate(name: string, edit: (backend: Backend) => void = () => {}): FoundBackend {
  return {
    known: { name, module: '@mamba/reference', onProcessor: true },
    record: { name, status: 'ready', dtype: 'float64' },
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

const lengths = [8, 32];
const short: Suite = {
  name: 'train',
  summary: 'short',
  sweep: 'length',
  cases() {
    const expected = new Map();
    return lengths.map((length) => trainCase(HEADS, { batch: 1, length }, expected));
  },
};

describe('a step of training', () => {
  it('is checked, timed, and measured in memory, with slopes of both over length', async () => {
    const left: number[] = [];
    const sound = candidate('sound', (backend) => {
      const dispose = backend.dispose.bind(backend);
      Object.defineProperty(backend, 'dispose', {
        value: () => {
          left.push(backend.memory().tensors);
          return dispose();
        },
      });
    });
    const report = await runBench({ suites: [short], backends: [sound], effort: 'quick' });
    expect(parseReport(JSON.stringify(report), 'the report')).toEqual(report);
    expect(left).toEqual([0]);
    expect(report.results.map(({ case: id }) => id)).toEqual(['train/heads-1x8', 'train/heads-1x32']);
    for (const { status, check, rate, memory } of report.results) {
      expect(status).toBe('measured');
      expect(check).toMatchObject({ pass: true, relativeError: 0 });
      expect(rate!.unit).toBe('tokens/s');
      // Parameters and both moments stay, and gradients come on top.
      expect(memory!.tensors).toBeGreaterThanOrEqual(3 * 8 * parameterCount(HEADS.config));
      expect(memory!.peak! - memory!.tensors).toBeGreaterThan(8 * parameterCount(HEADS.config));
    }
    const [time, memory] = report.slopes;
    const shape = { batch: 1, layers: 2, dModel: 64, vocabSize: 16 };
    expect(time).toMatchObject({ suite: 'train', over: 'length', points: 2, shape });
    expect(time).not.toHaveProperty('of');
    expect(memory).toMatchObject({ of: 'memory', points: 2, shape });
    const [first, last] = report.results.map((result) => result.memory!.peak!);
    expect(memory!.slope).toBeCloseTo(Math.log(last! / first!) / Math.log(4), 10);
    const text = renderSuite('train', report, { style: styleFor({ isTTY: false }, {}), width: 120 });
    expect(text).toMatch(/heads 1 × 32 +sound/);
    expect(text).toContain(`memory grows as length^${memory!.slope.toFixed(2)} at 2 layers of d_model 64, batch 1`);
  });

  it.each([
    ['a gradient', 'selectiveScanBackward'],
    ['a loss', 'crossEntropy'],
    ['a norm', 'gradientNorm'],
  ] as const)('is not timed where %s is wrong', async (_, operation) => {
    const wrong = candidate('wrong', (backend) => {
      const original = backend[operation].bind(backend) as (...args: readonly unknown[]) => object;
      Object.defineProperty(backend, operation, {
        value: (...args: readonly unknown[]) => {
          const result = original(...args);
          const twice = (tensor: Parameters<Backend['add']>[0]) => {
            const sum = backend.add(tensor, tensor);
            tensor.dispose();
            return sum;
          };
          return 'shape' in result
            ? twice(result as Parameters<typeof twice>[0])
            : Object.fromEntries(Object.entries(result).map(([name, tensor]) => [name, tensor && twice(tensor)]));
        },
      });
    });
    const report = await runBench({ suites: [short], backends: [wrong], effort: 'quick' });
    expect(report.results.map(({ status, time }) => [status, time])).toEqual(
      lengths.map(() => ['disagrees', undefined]),
    );
    expect(report.slopes).toEqual([]);
  });
});

describe('the suite', () => {
  it('has the shapes of its effort, and those that are asked for', () => {
    const ids = (options: Partial<Parameters<Suite['cases']>[0]>): string[] =>
      trainSuite.cases({ effort: 'standard', slow: false, ...options }).map(({ id }) => id.replace('train/', ''));
    expect(ids({})).toEqual(['heads-8x256', 'heads-1x256', 'heads-1x1024', 'heads-1x4096', 'lm-1x256']);
    expect(ids({ effort: 'quick' })).toEqual(['heads-8x256', 'heads-1x256', 'heads-1x1024']);
    expect(ids({ shapes: { length: [32], batch: [2, 3] } })).toEqual(['heads-2x32', 'heads-3x32']);
    expect(ids({ slow: true, shapes: { length: [2 ** 20] } })).toEqual(['heads-1x16', 'heads-1x32']);
  });

  it('has a language model of 10 million parameters', () => {
    expect(parameterCount(LANGUAGE.config)).toBe(10_035_840);
  });
});

describe('the memory of a call at its most', () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await reference().create();
  });
  afterAll(() => backend.dispose());

  it('counts what a call disposes again, and what lived before it', () => {
    const meter = peakMemory(backend);
    const host = { dtype: 'float64', shape: [4], data: new Float64Array(4) } as const;
    const x = meter.backend.upload(host);
    const before = backend.memory().bytes;
    const size = before;
    const most = meter.during(() => {
      const one = meter.backend.add(x, x);
      const two = meter.backend.add(one, x);
      one.dispose();
      meter.backend.add(two, x).dispose();
      two.dispose();
    });
    expect(most).toBe(before + 2 * size);
    expect(meter.during(() => {})).toBe(before);
    x.dispose();
  });
});
