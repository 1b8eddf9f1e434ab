import type { Measure, VersusPoint, VersusReport } from '../src/schema/versus.ts';
import { crossingsOf } from '../src/versus/crossings.ts';
import { exampleReport } from './example-report.ts';

/**
 * A result with two systems whose curves cross, a length that was refused, one that was left out, and one that failed.
 * For tests.
 */
export function exampleVersus(): VersusReport {
  const lengths = [128, 256, 512, 1024];
  const points = [
    ...lengths.map((length) => measured('mamba', 'forward', length, length * 1e-5)),
    measured('attention', 'forward', 128, 0.0005),
    measured('attention', 'forward', 256, 0.002),
    measured('attention', 'forward', 512, 0.008),
    {
      ...{ system: 'attention', backend: 'cpu', measure: 'forward' as const, length: 1024, status: 'refused' as const },
      refused: { bytes: 2 ** 33, limit: 2 ** 32 },
    },
    ...lengths.map((length) => measured('mamba', 'step', length, 2e-4)),
    ...lengths.map((length) => measured('attention', 'step', length, 1e-4 + length * 1e-6)),
    measured('mamba', 'train', 128, 0.004),
    {
      ...{ system: 'mamba', backend: 'cpu', measure: 'train' as const, length: 256, status: 'stopped' as const },
      expected: 12.5,
      reason: 'a call would take about 13 s, where 5 s are allowed',
    },
    {
      ...{ system: 'attention', backend: 'cpu', measure: 'train' as const, length: 128, status: 'failed' as const },
      reason: 'out of luck',
    },
  ];
  const { tool, startedAt, finishedAt, machine } = exampleReport();
  const row = {
    ...{ backend: 'cpu', layers: 2, dModel: 16, parameters: 3000, prompt: 2048, tokens: 128 },
    ...{ status: 'measured' as const, prefillSeconds: 0.5, state: 4096 },
  };
  return {
    ...{ kind: 'mamba-versus', schemaVersion: 1, tool, startedAt, finishedAt, interrupted: false },
    settings: { dModel: 16, batch: 1, lengths, measures: ['forward', 'step', 'train'], seconds: 5 },
    machine,
    backends: [{ name: 'cpu', status: 'ready', description: 'WebAssembly SIMD, 1 thread', dtype: 'float32' }],
    systems: [
      {
        ...{ name: 'mamba', label: 'Mamba', kind: 'mamba', config: { dInner: 32 }, parameters: 2000 },
        ...{ grows: 'linear', remembers: 'constant' },
      },
      {
        ...{ name: 'attention', label: 'attention', kind: 'attention', config: { heads: 4 }, parameters: 2100 },
        ...{ grows: 'quadratic', remembers: 'every token' },
      },
    ],
    agreements: ['mamba', 'attention'].map((system) => ({
      ...{ system, backend: 'cpu', status: 'agrees' },
      check: { pass: true, maxAbsError: 1e-7, scale: 1, relativeError: 1e-7, tolerance: 1e-4, checked: '2 × 7 tokens' },
    })),
    points,
    crossings: crossingsOf(points),
    generation: [
      { ...row, model: 'mamba', label: 'Mamba', batch: 1, seconds: 1, perSecond: 128 },
      { ...row, model: 'transformer', label: 'Transformer', batch: 1, seconds: 2, perSecond: 64 },
      { ...row, model: 'mamba', label: 'Mamba', batch: 16, seconds: 2, perSecond: 1024 },
      { ...row, model: 'transformer', label: 'Transformer', batch: 16, seconds: 10, perSecond: 204.8 },
    ],
  } satisfies VersusReport;
}

function measured(system: string, measure: Measure, length: number, median: number): VersusPoint {
  const state = system === 'mamba' ? 2000 : 128 * length;
  return {
    ...{ system, backend: 'cpu', measure, length, status: 'measured' },
    time: { median, p10: median, p90: median, n: 3, callsPerSample: 1 },
    perSecond: (measure === 'step' ? 1 : length) / median,
    memory: { peak: 1000 * length, ...(measure === 'step' && { state }) },
  };
}
