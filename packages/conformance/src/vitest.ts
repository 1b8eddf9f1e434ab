/**
 * The entry point `@mamba/conformance/vitest`: the suite as tests of vitest.
 * @module
 */
import { type Backend, type BackendProvider, isMambaError, type MemoryUse } from '@mamba/core';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GAP_UNKNOWN, type KnownGap, unknownGaps } from './runner/gaps.ts';
import { describeReport } from './runner/report.ts';
import { runCheck } from './runner/run.ts';
import { type SuiteOptions, suite } from './runner/suite.ts';

export type { KnownGap } from './runner/gaps.ts';

/** Options of `describeConformance`. */
export interface DescribeOptions extends SuiteOptions {
  /**
   * The checks that are known to fail, with the reason. They run; a gap whose check passes fails, and so does a gap
   * that names no check.
   */
  readonly gaps?: readonly KnownGap[] | undefined;
  /**
   * Milliseconds that one check may take. Default: no limit, since the speeds of backends differ by a factor of a
   * thousand.
   */
  readonly timeout?: number | undefined;
  /** The heading of the tests. Default: the provider's name. */
  readonly name?: string | undefined;
}

/**
 * Registers the whole suite for a backend: `describeConformance(cpu())`. One backend is created for all checks, and
 * must hold no more memory at the end than at the start. Another one is created to check `dispose`, so a function has
 * to return a new backend at each call.
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
    let before: MemoryUse;
    const create = (): Promise<Backend> => (typeof provider === 'function' ? provider() : provider.create());
    beforeAll(async () => {
      backend = await create();
      before = backend.memory();
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
        if (failed.length > 0) expect.fail(failed.map(describeReport).join('\n'));
      });
    }
    test('no tensor outlives its check', () => {
      const { tensors, bytes } = before;
      expect(backend.memory()).toMatchObject({ tensors, bytes });
    });
    test('a disposed backend refuses to work', { timeout }, async () => {
      const other = await create();
      const host = { dtype: 'float32', shape: [3], data: new Float32Array(3) } as const;
      const tensor = other.upload(host);
      await Promise.all([other.dispose(), other.dispose()]);
      const attempts: readonly (() => unknown)[] = [
        () => other.upload(host),
        () => other.add(tensor, tensor),
        () => other.supports('add', tensor, tensor),
        () => other.read(tensor),
        () => other.synchronize(),
      ];
      for (const attempt of attempts) {
        const outcome: unknown = await Promise.resolve()
          .then(attempt)
          .catch((error: unknown) => error);
        expect(isMambaError(outcome, 'disposed'), String(outcome)).toBe(true);
      }
      expect(other.memory()).toEqual({ tensors: 0, bytes: 0, reserved: 0 });
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
