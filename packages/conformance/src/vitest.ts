/** `@mamba/conformance/vitest`: the suite as vitest tests. */
import type { Backend, BackendProvider } from '@mamba/core';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GAP_UNKNOWN, type KnownGap, unknownGaps } from './runner/gaps.ts';
import { describeReport } from './runner/report.ts';
import { runCheck } from './runner/run.ts';
import { type SuiteOptions, suite } from './runner/suite.ts';

export type { KnownGap } from './runner/gaps.ts';

export interface DescribeOptions extends SuiteOptions {
  /** Checks that fail, and why. They run; one that passes fails, and so does one that names no check. */
  readonly gaps?: readonly KnownGap[] | undefined;
  /** Milliseconds that one check may take. Default: none, for backends differ by a factor of a thousand. */
  readonly timeout?: number | undefined;
  /** Heading of the tests. Default: the provider's name. */
  readonly name?: string | undefined;
}

/**
 * Registers the whole suite for a backend: `describeConformance(cpu())`. The backend is created once, and must be empty again at
 * the end.
 */
export function describeConformance(
  provider: BackendProvider | (() => Promise<Backend>),
  options: DescribeOptions = {},
): void {
  const { gaps = [], timeout = 0 } = options;
  const name = options.name ?? (typeof provider === 'function' ? 'backend' : provider.name);
  describe(`conformance of ${name}`, async () => {
    const checks = await suite(options);
    let backend: Backend;
    let oracle: Backend;
    beforeAll(async () => {
      backend = await (typeof provider === 'function' ? provider() : provider.create());
      oracle = await reference().create();
    }, timeout);
    afterAll(async () => {
      await backend?.dispose();
      await oracle?.dispose();
    }, timeout);

    for (const check of checks) {
      test(check.id, { timeout }, async (context) => {
        const result = await runCheck(check, { backend, reference: oracle }, gaps);
        if (result.status === 'skipped') context.skip(result.reason);
        const failed = result.status === 'failed' ? result.reports.filter(({ pass }) => !pass) : [];
        expect(failed.map(describeReport).join('\n')).toBe('');
      });
    }
    test('no tensor outlives its check', () => {
      expect(backend.memory()).toMatchObject({ tensors: 0, bytes: 0 });
    });
    for (const gap of unknownGaps(
      gaps,
      checks.map(({ id }) => id),
    )) {
      test(gap.case, () => {
        expect.fail(`${gap.case} ${GAP_UNKNOWN}`);
      });
    }
  });
}
