/**
 * Plans a run: the cases of each suite, the backends that take part in them, and a rough estimate of their duration.
 */
import type { BenchCase, Suite } from '../cases/contract.ts';
import type { FoundBackend } from '../machine/backends.ts';
import type { CaseRef } from '../runner/runner.ts';
import { BUDGET, type RunOptions } from './options.ts';

/** A case and the backends that take turns at it. */
export interface Job {
  readonly benchCase: BenchCase;
  readonly ref: CaseRef;
  readonly backends: readonly FoundBackend[];
  /** Rough seconds of the check, and of each measurement. */
  readonly estimate: { readonly check: number; readonly timed: readonly number[] };
}

/** The jobs of a suite, in groups of the same backends. */
export interface SuitePlan {
  readonly suite: Suite;
  readonly groups: readonly (readonly Job[])[];
}

export function planRun({ suites, backends, effort, shapes, choices = {} }: RunOptions): SuitePlan[] {
  return suites.map((suite) => {
    const choice = choices[suite.name];
    const takes = choice?.takes ?? (() => true);
    return { suite, groups: planSuite(suite, backends.filter(takes), { effort, shapes: choice?.shapes ?? shapes }) };
  });
}

export function secondsOf(plans: readonly SuitePlan[]): number {
  const estimates = plans.flatMap(({ groups }) => groups.flat()).map(({ estimate }) => estimate);
  return estimates.flatMap(({ check, timed }) => [check, ...timed]).reduce((sum, seconds) => sum + seconds, 0);
}

/** Operations a second that an estimate assumes: of plain loops, and of vector instructions. */
const [PLAIN_SPEED, VECTOR_SPEED] = [4e8, 2e10];

/** One group of the fast backends, then one of the slow backends with smaller shapes. */
function planSuite(
  suite: Suite,
  backends: readonly FoundBackend[],
  { effort, shapes }: Pick<RunOptions, 'effort' | 'shapes'>,
): Job[][] {
  const ready = backends.filter(({ record }) => record.status === 'ready');
  return [false, true].flatMap((slow) => {
    const group = ready.filter(({ record }) => (record.slow !== undefined) === slow);
    if (group.length === 0) return [];
    const options = { effort, slow, shapes };
    const checked = group.some(({ known }) => known.name !== 'reference');
    const jobs = suite.cases(options).map((benchCase, index): Job => {
      // A measurement takes four calls at least.
      const timed = benchCase.measurements.map(({ work }) =>
        Math.max(
          (4 * (work?.(4).operations ?? 0)) / (slow ? PLAIN_SPEED : VECTOR_SPEED),
          slow ? 0.5 : BUDGET[effort] / 2000,
        ),
      );
      const estimate = {
        check: checked ? benchCase.checkOperations / PLAIN_SPEED : 0,
        timed: timed.map((seconds) => seconds * group.length),
      };
      return { benchCase, ref: { suite: suite.name, index, options }, backends: group, estimate };
    });
    return [jobs];
  });
}
