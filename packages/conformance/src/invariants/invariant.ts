import type { Check, CheckContext, Skipped } from '../runner/check.ts';
import { Findings } from '../runner/report.ts';

/** A check of a property that holds for one backend alone, or between it and the reference. */
export function invariant(
  name: string,
  body: (findings: Findings, context: CheckContext) => Promise<Skipped | undefined> | Promise<void>,
): Check {
  const id = `invariants/${name}`;
  return {
    id,
    source: 'invariants',
    case: id,
    async run(context) {
      const findings = new Findings('invariants', id, context.backend.precision);
      const skipped = await body(findings, context);
      return skipped ?? findings.reports;
    },
  };
}

/** The bound between two computations of the same values, which may form their sums in different orders. */
export const SAME_VALUES = 1e-5;
