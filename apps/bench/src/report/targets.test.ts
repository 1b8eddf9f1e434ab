import { expect, it } from 'vitest';
import { exampleReport } from '../../test/example-report.ts';
import type { Report, Result } from '../schema/report.ts';
import { targetsOf } from './targets.ts';

const result = (id: string, backend: string, median: number, extra: Partial<Result> = {}): Result => ({
  suite: id.split('/')[0]!,
  case: id,
  backend,
  dtype: 'float32',
  shape: { batch: 1, length: 512, dim: 512, state: 16 },
  status: 'measured',
  time: { median, p10: median * 0.9, p90: median * 1.2, n: 5, callsPerSample: 1 },
  ...extra,
});
const report = (results: Result[]): Report => ({ ...exampleReport(), results, slopes: [] });
const find = (given: Report, label: string) => targetsOf(given).find((row) => row.label.startsWith(label));

it('has a row for what was measured alone', () => {
  expect(targetsOf(report([]))).toEqual([]);
  expect(targetsOf(exampleReport())).toEqual([]);
});

it('compares with the same threads, and with the best of a peer where it runs on several', () => {
  const given = report([
    result('peers/prefill-512-layers-24', 'cpu-plain@1', 2),
    result('peers/prefill-512-layers-24', 'llama.cpp@1', 6),
    result('peers/prefill-512-layers-24', 'llama.cpp@2', 3),
    result('peers/decode-64-layers-24', 'cpu-relaxed@2', 1, { dtype: 'q8' }),
    result('peers/decode-64-layers-24', 'llama.cpp@1', 2, { dtype: 'q8' }),
    result('peers/decode-64-layers-24', 'llama.cpp@2', 3, { dtype: 'q8' }),
  ]);
  expect(find(given, 'prefill, f32, 1 thread')!.cells).toMatchObject({
    plain: { figure: '3.00×', spread: '2.25–4.00×', goal: '≥ 1.40×', met: true },
    relaxed: { figure: 'not run', met: undefined },
  });
  expect(find(given, 'decode, 8-bit')!.cells.relaxed).toMatchObject({ figure: '2.00×', met: false });
  expect(find(given, 'decode, f16')).toBeUndefined();
});

it('takes the worst length of a scan, the share of the bound that is asked for, and the slope’s distance from 1', () => {
  const steps = 512 * 512 * 16;
  const given: Report = {
    ...report([
      result('scan/length-512', 'cpu-plain@1', steps * 1.2e-9),
      result('scan/length-2048', 'cpu-plain@1', 4 * steps * 1.6e-9, {
        shape: { batch: 1, length: 2048, dim: 512, state: 16 },
      }),
      result('linear/rows-512-768x3072', 'cpu-relaxed@1', 0.05, {
        ceiling: { id: 'wasm-relaxed-operations', seconds: 0.041, share: 0.82 },
      }),
      result('peers/decode-64-layers-24', 'cpu-relaxed@2', 1, {
        ceiling: { id: 'wasm-relaxed-operations-2-threads', seconds: 0.9, share: 0.9 },
      }),
    ]),
    slopes: [{ suite: 'scan', backend: 'cpu-plain@1', over: 'length', slope: 0.96, points: 2 }],
  };
  expect(find(given, 'scan alone')!.cells.plain).toMatchObject({ figure: '1.60', spread: '1.20–1.60', met: false });
  expect(find(given, 'GEMM alone (512 × 768 → 3072), 1 thread')!.cells.relaxed).toMatchObject({
    figure: '82 %',
    met: true,
  });
  // The result is bound by arithmetic, so it has no share of the bandwidth.
  expect(find(given, 'decode, f32, 2 threads: share')).toBeUndefined();
  expect(find(given, 'scan: log-log slope')!.cells.plain).toMatchObject({ figure: '0.04', met: false });
});
