import type { Check, CheckContext, Skipped } from '../runner/check.ts';
import { Findings } from '../runner/report.ts';

/** A property that holds for one backend by itself, or between it and the reference. */
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

/** Two ways to the same values may round differently, as another order of the same sums does. */
export const SAME_VALUES = 1e-5;
