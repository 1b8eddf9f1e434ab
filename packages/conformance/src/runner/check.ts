import type { Backend } from '@mamba/core';
import type { TensorReport } from './report.ts';

/** The backends that a check uses. Both live until the end of the run. */
export interface CheckContext {
  readonly backend: Backend;
  readonly reference: Backend;
}

/** The reason why a check does not apply to this backend. */
export interface Skipped {
  readonly skipped: string;
}

/** A check: of a case, an invariant, or an entry of a golden file. */
export interface Check {
  /** A unique id, which known gaps and filters name. */
  readonly id: string;
  /** `suite`, `invariants`, `properties`, or the file that is checked. */
  readonly source: string;
  /** The name in reports: the id, or the name in the file. */
  readonly case: string;
  /** Runs the check. What it throws counts as a failure. */
  run(context: CheckContext): Promise<readonly TensorReport[] | Skipped>;
}

export function isSkipped(outcome: readonly TensorReport[] | Skipped): outcome is Skipped {
  return 'skipped' in outcome;
}
