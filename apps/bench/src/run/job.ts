/**
 * Runs the jobs of a group: each backend's result is checked against the reference, then those that agree are timed in
 * turns.
 */
import { type Backend, BYTES_PER_WEIGHT, isMambaError } from '@mamba/core';
import { reference as referenceProvider } from '@mamba/reference';
import { platform } from '#platform';
import type { BenchCase, Effort, MeasurementSpec, Pause, Values } from '../cases/contract.ts';
import { compareValues } from '../cases/values.ts';
import { describeDisagreement, messageOf, Stopped } from '../errors.ts';
import type { FoundBackend } from '../machine/backends.ts';
import { openRunner, type PreparedCase, type Runner } from '../runner/runner.ts';
import type { Ceiling, CheckRecord, Result } from '../schema/report.ts';
import { applyLimit, besideItsLimit } from '../timing/limit.ts';
import { MIN_SAMPLE, sampleInterleaved } from '../timing/sample.ts';
import { BUDGET, type Observer } from './options.ts';
import type { Job } from './plan.ts';
import { headingOf, refusalOf } from './results.ts';

export interface JobContext {
  readonly results: Result[];
  readonly ceilings: readonly Ceiling[];
  readonly pause: Pause;
  readonly effort: Effort;
  readonly observer: Observer;
}

interface OpenBackend {
  readonly found: FoundBackend;
  readonly runner: Runner;
}

/** A backend that has prepared a job's case and agrees with the reference. */
interface Candidate extends OpenBackend {
  readonly prepared: PreparedCase;
  readonly check: CheckRecord | undefined;
}

/** Backends live for one group of jobs, so that no suite's memory holds what another one allocated. */
export async function runGroup(jobs: readonly Job[], context: JobContext): Promise<void> {
  const open: OpenBackend[] = [];
  platform.collectGarbage();
  try {
    for (const found of jobs[0]?.backends ?? []) {
      try {
        open.push({ found, runner: await openRunner(found) });
      } catch (error) {
        for (const { benchCase } of jobs)
          context.results.push(...refusalOf(benchCase, found, 'failed', messageOf(error)));
      }
    }
    for (const job of jobs) await runJob(job, open, context);
  } finally {
    for (const { runner } of open) await runner.dispose();
  }
}

async function runJob(job: Job, open: readonly OpenBackend[], context: JobContext): Promise<void> {
  const { benchCase, estimate } = job;
  const { observer, results } = context;
  const lack = lackOfMemory(benchCase, open.length);
  if (lack !== undefined) {
    for (const { found } of open) results.push(...refusalOf(benchCase, found, 'skipped', lack));
    return;
  }
  const candidates: Candidate[] = [];
  try {
    await prepare(job, open, candidates, context);
    observer.advance?.(estimate.check);
    const rounds = benchCase.together ? [benchCase.measurements] : benchCase.measurements.map((spec) => [spec]);
    for (const specs of rounds) {
      results.push(...(await measure(benchCase, specs, candidates, context)));
      for (const spec of specs) observer.advance?.(estimate.timed[benchCase.measurements.indexOf(spec)] ?? 0);
    }
  } finally {
    for (const { prepared } of candidates) await prepared.dispose();
  }
}

function lackOfMemory({ needs }: BenchCase, candidates: number): string | undefined {
  if (needs === undefined) return undefined;
  const [needed, available] = [needs(candidates), platform.availableMemory()];
  if (needed <= 0.9 * available) return undefined;
  const gigabytes = (bytes: number): string => (bytes / 2 ** 30).toFixed(1);
  return `it takes ${gigabytes(needed)} GiB with its check, and ${gigabytes(available)} are free`;
}

/** Adds to `candidates` the backends that agree with the reference, and to the results those that do not. */
async function prepare(
  { benchCase, ref }: Job,
  open: readonly OpenBackend[],
  candidates: Candidate[],
  { observer, pause, results }: JobContext,
): Promise<void> {
  let expected: Values | undefined;
  for (const { found, runner } of open) {
    const isReference = found.known.name === 'reference';
    await pause();
    let prepared: PreparedCase | undefined;
    try {
      if (!isReference && expected === undefined) {
        observer.step?.(`${benchCase.id}: reference`);
        await pause();
        expected = await withReference((reference) => benchCase.expected(reference, pause));
      }
      observer.step?.(`${benchCase.id}: checking ${found.record.name}`);
      await pause();
      prepared = await runner.prepare(benchCase, ref, pause);
      const check = expected && !isReference ? compareValues(await prepared.actual(), expected, benchCase) : undefined;
      if (check?.pass === false) {
        results.push(...refusalOf(benchCase, found, 'disagrees', describeDisagreement(check), check));
        await prepared.dispose();
      } else {
        candidates.push({ found, runner, prepared, check });
      }
    } catch (error) {
      await prepared?.dispose();
      if (error instanceof Stopped) throw error;
      const status = isMambaError(error, 'unsupported') ? 'skipped' : 'failed';
      results.push(...refusalOf(benchCase, found, status, messageOf(error)));
    }
  }
}

async function withReference<T>(body: (reference: Backend) => Promise<T>): Promise<T> {
  const reference = await referenceProvider().create();
  try {
    return await body(reference);
  } finally {
    await reference.dispose();
  }
}

/** Times these measurements of all candidates in turns; gives a result for each pair. */
async function measure(
  benchCase: BenchCase,
  specs: readonly MeasurementSpec[],
  candidates: readonly Candidate[],
  { observer, pause, effort, ceilings }: JobContext,
): Promise<Result[]> {
  const { weights } = benchCase;
  const pairs = specs.flatMap((spec) =>
    candidates.map((candidate) => {
      const bytesPerValue = candidate.found.record.dtype === 'float64' ? 8 : 4;
      const work = spec.work?.(bytesPerValue, weights && BYTES_PER_WEIGHT[weights]);
      return { spec, candidate, work, how: candidate.prepared.measured[spec.id]! };
    }),
  );
  const timed = pairs.flatMap((pair) => {
    const { how, work, candidate } = pair;
    if (!('time' in how)) return [];
    return [{ pair, timer: besideItsLimit(how, candidate.runner, work, candidate.found, ceilings) }];
  });
  if (timed.length > 0) observer.step?.(`${specs[0]!.id}: timing`);
  const outcomes = await sampleInterleaved(
    timed.map(({ timer }) => timer),
    { budget: BUDGET[effort], minSamples: 3, precision: 0.01, minSample: MIN_SAMPLE, pause },
  );
  const outcomeOf = new Map(timed.map(({ pair }, index) => [pair, outcomes[index]!]));
  const results: Result[] = [];
  for (const pair of pairs) {
    const { spec, candidate, work, how } = pair;
    const { found, prepared, check } = candidate;
    const head = { ...headingOf(benchCase, spec, found), ...(check && { check }) };
    const outcome = outcomeOf.get(pair);
    if (outcome !== undefined && 'error' in outcome) {
      results.push({ ...head, status: 'failed', reason: messageOf(outcome.error) });
      continue;
    }
    const once = 'seconds' in how ? how.seconds : 0;
    const time = outcome?.time ?? { median: once, p10: once, p90: once, n: 1, callsPerSample: 1 };
    const { stateBytes } = prepared;
    // A runner's process may have ended since; its times stay valid.
    const memory = await prepared.memory().catch(() => undefined);
    results.push({
      ...head,
      status: 'measured',
      time,
      rate: { perSecond: spec.items / time.median, unit: `${spec.unit}/s` },
      ...(work && { work }),
      ...applyLimit(work, time.median, outcome?.limit, found, ceilings),
      ...(memory && { memory: { ...memory, ...(stateBytes !== undefined && { state: stateBytes }) } }),
    });
  }
  return results;
}
