import type { Report, Result } from '../src/schema/report.ts';

/** A report with two fast backends, a slow one, one that is not here, a failure and a disagreement. For tests. */
export function exampleReport(): Report {
  return {
    kind: 'mamba-bench',
    schemaVersion: 5,
    tool: { name: '@mamba/bench', version: '0.1.0' },
    startedAt: '2026-11-23T12:00:00.000Z',
    finishedAt: '2026-11-23T12:02:00.000Z',
    interrupted: false,
    settings: { suites: ['scan', 'model'], effort: 'standard' },
    machine: {
      cpu: 'Example CPU @ 3.00GHz',
      cores: 2,
      memory: 8 * 2 ** 30,
      load: 0.2,
      os: 'Linux 6.1',
      arch: 'x64',
      engine: { name: 'node', version: '20.20.2', v8: '11.3' },
    },
    ceilings: [
      { id: 'wasm-simd-operations', bound: 'operations', perSecond: 4e10, threads: 1, how: 'counted' },
      { id: 'wasm-simd-bandwidth', bound: 'bandwidth', perSecond: 2e10, threads: 1, how: 'read' },
    ],
    backends: [
      { name: 'webgpu', status: 'ready', description: 'Example GPU', details: { software: false }, dtype: 'float32' },
      { name: 'cpu', status: 'ready', description: 'WebAssembly SIMD', details: { threads: 1 }, dtype: 'float32' },
      { name: 'reference', status: 'ready', description: 'plain loops', dtype: 'float64', slow: 'float64' },
      { name: 'other', status: 'unavailable', reason: 'it lacks something. Install it.' },
    ],
    results: [
      scan(512, 'webgpu', 0.002),
      scan(512, 'cpu', 0.004),
      scan(131072, 'webgpu', 0.5),
      {
        ...scan(131072, 'cpu', undefined),
        status: 'disagrees',
        reason: 'an error of 2.0e-2 against the reference, where 1e-5 is allowed',
        check: { ...CHECK, pass: false, relativeError: 0.02, maxAbsError: 0.04 },
      },
      { ...scan(512, 'reference', 0.1), slow: 'float64', dtype: 'float64' },
      {
        ...scan(1024, 'reference', undefined),
        slow: 'float64',
        dtype: 'float64',
        status: 'failed',
        reason: 'there was not enough memory for this on the machine where it was tried',
      },
    ],
    slopes: [{ suite: 'scan', backend: 'webgpu', over: 'length', slope: 0.996, points: 2 }],
    generation: { checkpoint: 'c', backend: 'webgpu', prompt: 'p', text: 't', tokens: 100, seconds: 0.5 },
  };
}

/** The same run where everything took so many times as long. */
export function slowedReport(factor: number): Report {
  const report = exampleReport();
  const results = report.results.map((result): Result => {
    if (result.time === undefined) return result;
    const { median, p10, p90, ...time } = result.time;
    return { ...result, time: { ...time, median: median * factor, p10: p10 * factor, p90: p90 * factor } };
  });
  return { ...report, results };
}

const CHECK = {
  pass: true,
  maxAbsError: 1e-7,
  scale: 2,
  relativeError: 5e-8,
  tolerance: 1e-5,
  checked: 'the shape itself',
};

function scan(length: number, backend: string, median: number | undefined): Result {
  const stateSteps = length * 512 * 16;
  return {
    suite: 'scan',
    case: `scan/length-${length}`,
    backend,
    dtype: 'float32',
    shape: { batch: 1, length, dim: 512, state: 16 },
    status: 'measured',
    check: CHECK,
    ...(median !== undefined && {
      time: { median, p10: median * 0.95, p90: median * 1.1, n: 7, callsPerSample: 1 },
      rate: { perSecond: stateSteps / median, unit: 'state steps/s' },
      work: { operations: stateSteps * 22, bytes: length * 8320 },
      ceiling: { id: 'wasm-simd-operations', seconds: median / 2, share: 0.5 },
      memory: { tensors: 1000, reserved: 2000, process: 3000 },
    }),
  };
}
