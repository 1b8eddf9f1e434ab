import { describe, expect, test } from 'vitest';
import { runConformance } from '../src/runner/run.ts';
import { suite } from '../src/runner/suite.ts';
import { wrapped } from './wrapped-driver.ts';

const forgetsD = () =>
  wrapped(({ kernels }) => ({
    kernels: { ...kernels, selectiveScan: (call) => kernels.selectiveScan({ ...call, D: undefined }) },
  })).create();

describe('known gaps', () => {
  const filter = (id: string): boolean => id === 'selective-scan/with-D' || id === 'selective-scan/with-z';

  test('one that fails as known is no failure', async () => {
    const gaps = [{ case: 'selective-scan/with-D', reason: 'D is not done yet' }];
    const { checks, failed, results } = await runConformance(await forgetsD(), { filter, gaps });
    expect(checks.find(({ id }) => id === 'selective-scan/with-D')).toMatchObject({
      status: 'gap',
      reason: 'D is not done yet',
    });
    expect(failed).toBe(0);
    expect(results.every(({ case: id }) => id === 'selective-scan/with-z')).toBe(true);
  });

  test('one that passes is a failure', async () => {
    const gaps = [{ case: 'selective-scan/with-z', reason: 'z is not done yet' }];
    const { checks, failed } = await runConformance(await wrapped().create(), { filter, gaps });
    expect(failed).toBe(1);
    const reports = checks.find(({ status }) => status === 'failed')!.reports;
    expect(reports[0]?.message).toContain('remove it from the gaps');
  });

  test('one that names no check is a failure', async () => {
    const gaps = [{ case: 'selective-scan/with-d', reason: 'misspelt' }];
    const { failed, results } = await runConformance(await wrapped().create(), { filter, gaps });
    expect(failed).toBe(1);
    expect(results.find(({ pass }) => !pass)).toMatchObject({ case: 'selective-scan/with-d', source: 'gaps' });
  });
});

test('every check has an id of its own', async () => {
  const ids = (await suite()).map(({ id }) => id);
  expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
});
