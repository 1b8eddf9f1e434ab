import { expect, it } from 'vitest';
import { exampleReport } from '../../test/example-report.ts';
import { fastestBackend } from './paragraph.ts';

it('takes the fastest of those that are sound', () => {
  const report = exampleReport();
  // cpu disagreed once, the reference failed.
  expect(fastestBackend(report)).toBe('webgpu');
  const sound = { ...report, results: report.results.filter(({ status }) => status === 'measured') };
  expect(fastestBackend(sound)).toBe('webgpu');
  const decode = { ...sound.results[1]!, case: 'model/decode-32', rate: { perSecond: 1e12, unit: 'tokens/s' } };
  expect(fastestBackend({ ...sound, results: [...sound.results, decode] })).toBe('cpu');
});

it('takes a slow one only where there is nothing else', () => {
  const report = exampleReport();
  const results = report.results.filter(({ backend, status }) => backend === 'reference' && status === 'measured');
  expect(fastestBackend({ backends: report.backends.slice(2), results })).toBe('reference');
  expect(fastestBackend({ backends: report.backends.slice(3), results: [] })).toBeUndefined();
});
