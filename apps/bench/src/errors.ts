/** Errors that a run, its stages and its runners tell apart, and their messages. */
import type { CheckRecord } from './schema/report.ts';

/** Thrown between the samples of a run that was told to stop. It is never a backend's failure. */
export class Stopped extends Error {}

/** A candidate's results are not the reference's. */
export class Disagreement extends Error {
  readonly check: CheckRecord;

  constructor(check: CheckRecord) {
    super(describeDisagreement(check));
    this.check = check;
  }
}

export function describeDisagreement({ relativeError, tolerance }: CheckRecord): string {
  const error = relativeError === null ? 'values that are not finite' : `an error of ${relativeError.toExponential(1)}`;
  return `${error} against the reference, where ${tolerance.toExponential(0)} is allowed`;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
