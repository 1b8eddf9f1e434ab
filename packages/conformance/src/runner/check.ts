import type { Backend } from '@mamba/core';
import type { TensorReport } from './report.ts';

/** What a check may use. The backend under test and the reference live as long as the run. */
export interface CheckContext {
  readonly backend: Backend;
  readonly reference: Backend;
}

/** Does not apply to this backend, with the reason. */
export interface Skipped {
  readonly skipped: string;
}

/** One thing that is checked: a case, an invariant, a golden file's entry. */
export interface Check {
  /** Unique; what known gaps and filters name. */
  readonly id: string;
  /** `suite`, `invariants`, `properties`, or the file that is checked. */
  readonly source: string;
  /** Its name in reports: the id, or its name in the file. */
  readonly case: string;
  run(context: CheckContext): Promise<readonly TensorReport[] | Skipped>;
}

export function isSkipped(outcome: readonly TensorReport[] | Skipped): outcome is Skipped {
  return 'skipped' in outcome;
}
