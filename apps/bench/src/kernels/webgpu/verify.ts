import { type Case, checkCase, describeReport } from '@mamba/conformance';
import type { Backend } from '@mamba/core';
import { reference } from '@mamba/reference';

/**
 * The largest error of some checks against the float64 reference, each relative to the largest value of its tensor.
 * Throws where a check is skipped or fails: what is wrong is not timed.
 */
export async function verify(backend: Backend, cases: readonly Case[]): Promise<number> {
  const oracle = await reference().create();
  try {
    let largest = 0;
    for (const item of cases) {
      const outcome = await checkCase(item, { backend, reference: oracle });
      if ('skipped' in outcome) throw new Error(`${item.id} was skipped: ${outcome.skipped}`);
      for (const report of outcome) {
        if (!report.pass) throw new Error(describeReport(report));
        largest = Math.max(largest, report.relativeError);
      }
    }
    return largest;
  } finally {
    await oracle.dispose();
  }
}
