import { type Backend, isMambaError } from '@mamba/core';
import { reference } from '@mamba/reference';
import { type Check, type CheckContext, isSkipped } from './check.ts';
import { GAP_CLOSED, GAP_UNKNOWN, type KnownGap, unknownGaps } from './gaps.ts';
import { Findings, type TensorReport } from './report.ts';
import { type SuiteOptions, suite } from './suite.ts';

/** The result of one check. */
export interface CheckResult {
  readonly id: string;
  readonly source: string;
  /** `gap` means that it failed as a known gap says. */
  readonly status: 'passed' | 'failed' | 'skipped' | 'gap';
  readonly reports: readonly TensorReport[];
  /** The reason why it was skipped or is a gap. */
  readonly reason?: string | undefined;
}

/** What `runConformance` runs, and what it tells of meanwhile. */
export interface RunOptions extends SuiteOptions {
  /** Selects checks by their ids. Default: all. */
  readonly filter?: ((id: string) => boolean) | undefined;
  readonly gaps?: readonly KnownGap[] | undefined;
  /** Called after each check. */
  readonly onResult?: ((result: CheckResult, done: number, total: number) => void) | undefined;
  /** Checks to run instead of the suite. */
  readonly checks?: readonly Check[] | undefined;
}

/** What came of a run: its comparisons and its checks, with their numbers. */
export interface RunSummary {
  readonly backend: string;
  /** Every comparison, except those of known gaps. */
  readonly results: readonly TensorReport[];
  readonly checks: readonly CheckResult[];
  /** Number of comparisons that passed; `failed` counts the others. */
  readonly passed: number;
  readonly failed: number;
  /** Number of checks that were skipped. */
  readonly skipped: number;
}

/**
 * Runs the suite, or part of it, without a test framework. A check that throws is a failed result; this function does
 * not throw for it.
 */
export async function runConformance(backend: Backend, options: RunOptions = {}): Promise<RunSummary> {
  const { filter = () => true, gaps = [], onResult } = options;
  const all = options.checks ?? (await suite(options));
  const selected = all.filter(({ id }) => filter(id));
  const checks: CheckResult[] = [];
  const referenceBackend = await reference().create();
  try {
    for (const check of selected) {
      const result = await runCheck(check, { backend, reference: referenceBackend }, gaps);
      checks.push(result);
      onResult?.(result, checks.length, selected.length);
    }
  } finally {
    await referenceBackend.dispose();
  }
  for (const gap of unknownGaps(
    gaps,
    all.map(({ id }) => id),
  ))
    checks.push(failure(backend, { id: gap.case, source: 'gaps', case: gap.case }, GAP_UNKNOWN));
  const results = checks.filter(({ status }) => status !== 'gap').flatMap(({ reports }) => reports);
  return {
    backend: backend.name,
    results,
    checks,
    passed: results.filter(({ pass }) => pass).length,
    failed: results.filter(({ pass }) => !pass).length,
    skipped: checks.filter(({ status }) => status === 'skipped').length,
  };
}

/** Runs one check, with its known gap if it has one. A check that throws has failed. */
export async function runCheck(check: Check, context: CheckContext, gaps: readonly KnownGap[]): Promise<CheckResult> {
  const gap = gaps.find(({ case: id }) => id === check.id);
  const { id, source } = check;
  const { backend } = context;
  let reports: readonly TensorReport[];
  try {
    const outcome = await check.run(context);
    if (isSkipped(outcome)) return { id, source, status: 'skipped', reports: [], reason: outcome.skipped };
    reports = outcome;
  } catch (error) {
    reports = failure(backend, check, describeError(error)).reports;
  }
  const failed = reports.some(({ pass }) => !pass);
  if (gap === undefined) return { id, source, status: failed ? 'failed' : 'passed', reports };
  return failed ? { id, source, status: 'gap', reports, reason: gap.reason } : failure(backend, check, GAP_CLOSED);
}

function failure(backend: Backend, check: Omit<Check, 'run'>, message: string): CheckResult {
  const findings = new Findings(check.source, check.case, backend.precision);
  findings.fail('-', message);
  return { id: check.id, source: check.source, status: 'failed', reports: findings.reports };
}

/** Describes an error: a MambaError by its code and message, any other error with its stack. */
function describeError(error: unknown): string {
  if (isMambaError(error)) return `threw ${error.code}: ${error.message}`;
  return `threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
