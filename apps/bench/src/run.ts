/**
 * A run: limits of the machine first, then suite by suite. Of each suite the backends that take its full shapes go together, their
 * measurements interleaved; those that are too slow follow with shapes they can do. Nothing is timed that did not agree with the
 * reference in this very run. A run that is stopped keeps what it has.
 */

import { type Backend, BYTES_PER_WEIGHT, isMambaError } from '@mamba/core';
import { reference as referenceProvider } from '@mamba/reference';
import { platform } from '#platform';
import type {
  BenchCase,
  Effort,
  MeasurementSpec,
  Pause,
  ShapeChoice,
  Suite,
  SuiteName,
  Values,
} from './cases/contract.ts';
import { compareValues } from './cases/values.ts';
import type { FoundBackend } from './machine/backends.ts';
import { measureCeilings } from './machine/ceilings.ts';
import { type Mode, modeOf } from './machine/modes.ts';
import {
  type BackendRecord,
  type Ceiling,
  type CheckRecord,
  KIND,
  type Report,
  type Result,
  SCHEMA_VERSION,
  type Settings,
} from './schema/report.ts';
import { type CaseRef, openSeat, type Seat, type SeatedCase } from './seat/seat.ts';
import { applyCeiling, applyLimit, besideItsLimit } from './timing/limit.ts';
import { sampleInterleaved } from './timing/sample.ts';
import { logLogSlope } from './timing/statistics.ts';
import { version } from './version.ts';

export interface RunOptions {
  readonly suites: readonly Suite[];
  readonly backends: readonly FoundBackend[];
  readonly effort: Effort;
  readonly shapes?: ShapeChoice | undefined;
  /** What single suites have instead: shapes, and who takes part. */
  readonly choices?: Readonly<Partial<Record<SuiteName, SuiteChoice>>> | undefined;
  /** What is measured after the suites in another way. */
  readonly stages?: readonly Stage[] | undefined;
  /** Stops the run after the sample that is being taken. */
  readonly signal?: AbortSignal | undefined;
  readonly observer?: Observer | undefined;
}

export interface SuiteChoice {
  readonly shapes?: ShapeChoice | undefined;
  /** Default: all. */
  readonly takes?: ((contender: FoundBackend) => boolean) | undefined;
}

/** A part of a run that goes its own way: other projects' software. */
export interface Stage {
  readonly suite: SuiteName;
  /** How long it takes, roughly. */
  readonly seconds: number;
  run(context: StageContext): Promise<void>;
}

export interface StageContext {
  /** To add to. */
  readonly results: Result[];
  /** Measured before. */
  readonly ceilings: readonly Ceiling[];
  readonly backends: BackendRecord[];
  readonly pause: Pause;
  /** Milliseconds for each measurement. */
  readonly budget: number;
  readonly observer: Observer;
}

/** Told of a run as it goes. */
export interface Observer {
  /** Limits are known; `seconds` is a rough estimate of what follows. */
  begin?(ceilings: readonly Ceiling[], seconds: number): void;
  /** What is going on: `scan/length-512 · cpu: checking`. */
  step?(label: string): void;
  /** A part is done that was estimated at so many seconds. */
  advance?(seconds: number): void;
  /** A suite is done: the report so far. */
  suite?(name: SuiteName, report: Report): void;
}

/** Milliseconds for each measurement of a contender, and for the ceilings. */
const BUDGET = { quick: 400, standard: 1500, thorough: 4000 } as const;
/** Least milliseconds of a sample: long against the clock, and against what others left in the caches in between. */
export const MIN_SAMPLE = 20;

export async function runBench(options: RunOptions): Promise<Report> {
  const { suites, backends, effort, stages = [], choices = {}, signal, observer = {} } = options;
  const startedAt = new Date().toISOString();
  const machine = platform.machineFacts();
  const ceilings: Ceiling[] = [];
  const results: Result[] = [];
  /** Contenders of stages. */
  const others: BackendRecord[] = [];
  const pause = async (): Promise<void> => {
    await platform.tick();
    if (signal?.aborted) throw new Stopped();
  };
  const snapshot = (interrupted: boolean): Report => ({
    kind: KIND,
    schemaVersion: SCHEMA_VERSION,
    tool: { name: '@mamba/bench', version },
    startedAt,
    finishedAt: new Date().toISOString(),
    interrupted,
    settings: settingsOf(options),
    machine,
    ceilings,
    backends: [...backends.map(({ record }) => record), ...others],
    results: results.map((result) => withShare(result, backends, ceilings)),
    slopes: suites.flatMap((suite) => slopesOf(suite, results)),
  });
  /** Before and after: what was reached once is a limit, and other work may hide it for a while. */
  const measureLimits = async (): Promise<void> => {
    for (const measure of limitsOf(backends, BUDGET[effort] / 3, pause)) {
      await pause();
      for (const ceiling of await measure()) {
        const known = ceilings.findIndex(({ id }) => id === ceiling.id);
        if (known < 0) ceilings.push(ceiling);
        else if (ceilings[known]!.perSecond < ceiling.perSecond) ceilings[known] = ceiling;
      }
    }
    for (const [index, ceiling] of ceilings.entries()) ceilings[index] = noLessThan(ceilings, ceiling);
  };
  try {
    observer.step?.('limits of this machine');
    await measureLimits();
    const plans = suites.map((suite) => {
      const { shapes = options.shapes, takes = () => true } = choices[suite.name] ?? {};
      return { suite, groups: plan(suite, backends.filter(takes), { effort, shapes }) };
    });
    const all = plans.flatMap(({ groups }) => groups.flat());
    observer.begin?.(
      ceilings,
      all.flatMap(({ estimate }) => [estimate.check, ...estimate.timed]).reduce((sum, seconds) => sum + seconds, 0) +
        stages.reduce((sum, { seconds }) => sum + seconds, 0),
    );
    for (const { suite, groups } of plans) {
      for (const group of groups) {
        await runGroup(group, { results, ceilings, pause, effort, observer });
      }
      observer.suite?.(suite.name, snapshot(false));
    }
    for (const stage of stages) {
      await stage.run({ results, ceilings, backends: others, pause, budget: BUDGET[effort], observer });
      observer.suite?.(stage.suite, snapshot(false));
    }
    if (results.length > 0) {
      observer.step?.('limits of this machine, again');
      await measureLimits();
    }
    return snapshot(false);
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    return snapshot(true);
  }
}

/** Thrown between samples of a run that was told to stop; never a backend's failure. */
export class Stopped extends Error {}

/** A contender's results are not the reference's. */
export class Disagreement extends Error {
  readonly check: CheckRecord;

  constructor(check: CheckRecord) {
    super(describeDisagreement(check));
    this.check = check;
  }
}

interface Job {
  readonly benchCase: BenchCase;
  readonly ref: CaseRef;
  readonly contenders: readonly FoundBackend[];
  /** Roughly the seconds of its check, and of each measurement. */
  readonly estimate: { readonly check: number; readonly timed: readonly number[] };
}

interface Context {
  readonly results: Result[];
  readonly ceilings: readonly Ceiling[];
  readonly pause: Pause;
  readonly effort: Effort;
  readonly observer: Observer;
}

/** The fast backends' jobs, then the slow ones'. */
function plan(
  suite: Suite,
  backends: readonly FoundBackend[],
  { effort, shapes }: Pick<RunOptions, 'effort' | 'shapes'>,
): Job[][] {
  const ready = backends.filter(({ record }) => record.status === 'ready');
  return [false, true].flatMap((slow) => {
    const contenders = ready.filter(({ record }) => (record.slow !== undefined) === slow);
    if (contenders.length === 0) return [];
    const asked = { effort, slow, shapes };
    const jobs = suite.cases(asked).map((benchCase, index): Job => {
      const checked = contenders.some(({ known }) => known.name !== 'reference');
      // Some 4e8 operations a second in plain loops, 2e10 in vectors; four calls at least.
      const timed = benchCase.measurements.map(({ work }) =>
        Math.max((4 * (work?.(4).operations ?? 0)) / (slow ? 4e8 : 2e10), slow ? 0.5 : BUDGET[effort] / 2000),
      );
      const estimate = {
        check: checked ? benchCase.checkOperations / 4e8 : 0,
        timed: timed.map((seconds) => seconds * contenders.length),
      };
      return { benchCase, ref: { suite: suite.name, index, options: asked }, contenders, estimate };
    });
    return [jobs];
  });
}

/** Backends live for a group of jobs, so that what one suite allocated is not in the next one's memory. */
async function runGroup(jobs: readonly Job[], context: Context): Promise<void> {
  const contenders = jobs[0]?.contenders ?? [];
  const open: { found: FoundBackend; seat: Seat }[] = [];
  platform.collectGarbage();
  try {
    for (const found of contenders) {
      try {
        open.push({ found, seat: await openSeat(found) });
      } catch (error) {
        for (const { benchCase } of jobs) refuse(benchCase, found, context.results, 'failed', messageOf(error));
      }
    }
    for (const job of jobs) await runJob(job, open, context);
  } finally {
    for (const { seat } of open) await seat.dispose();
  }
}

interface Entrant {
  readonly found: FoundBackend;
  readonly seat: Seat;
  readonly prepared: SeatedCase;
  readonly check: CheckRecord | undefined;
}

async function runJob(
  { benchCase, ref, estimate }: Job,
  open: readonly { found: FoundBackend; seat: Seat }[],
  context: Context,
): Promise<void> {
  const { observer, pause, results } = context;
  const entrants: Entrant[] = [];
  const needs = benchCase.needs?.(open.length);
  const available = needs === undefined ? 0 : platform.availableMemory();
  if (needs !== undefined && needs > 0.9 * available) {
    const gigabytes = (bytes: number): string => (bytes / 2 ** 30).toFixed(1);
    const reason = `it takes ${gigabytes(needs)} GiB with its check, and ${gigabytes(available)} are free`;
    for (const { found } of open) refuse(benchCase, found, results, 'skipped', reason);
    return;
  }
  try {
    let expected: Values | undefined;
    for (const { found, seat } of open) {
      const { name } = found.known;
      await pause();
      let prepared: SeatedCase | undefined;
      try {
        if (name !== 'reference' && expected === undefined) {
          observer.step?.(`${benchCase.id}: reference`);
          await pause();
          expected = await withReference((reference) => benchCase.expected(reference, pause));
        }
        observer.step?.(`${benchCase.id}: checking ${found.record.name}`);
        await pause();
        prepared = await seat.prepare(benchCase, ref, pause);
        const check =
          expected && name !== 'reference' ? compareValues(await prepared.actual(), expected, benchCase) : undefined;
        if (check?.pass === false) {
          refuse(benchCase, found, results, 'disagrees', describeDisagreement(check), check);
          await prepared.dispose();
        } else {
          entrants.push({ found, seat, prepared, check });
        }
      } catch (error) {
        await prepared?.dispose();
        if (error instanceof Stopped) throw error;
        refuse(benchCase, found, results, isMambaError(error, 'unsupported') ? 'skipped' : 'failed', messageOf(error));
      }
    }
    observer.advance?.(estimate.check);
    const rounds = benchCase.together ? [benchCase.measurements] : benchCase.measurements.map((spec) => [spec]);
    for (const specs of rounds) {
      results.push(...(await measure(benchCase, specs, entrants, context)));
      for (const spec of specs) observer.advance?.(estimate.timed[benchCase.measurements.indexOf(spec)] ?? 0);
    }
  } finally {
    for (const { prepared } of entrants) await prepared.dispose();
  }
}

/** A case that is not timed: one result for each of its measurements. */
function refuse(
  benchCase: BenchCase,
  found: FoundBackend,
  results: Result[],
  status: Result['status'],
  reason: string,
  check?: CheckRecord,
): void {
  for (const spec of benchCase.measurements) {
    results.push({ ...heading(benchCase, spec, found), status, reason, ...(check && { check }) });
  }
}

async function measure(
  benchCase: BenchCase,
  specs: readonly MeasurementSpec[],
  entrants: readonly Entrant[],
  { observer, pause, effort, ceilings }: Context,
): Promise<Result[]> {
  const workOf = (spec: MeasurementSpec, { record }: FoundBackend) => {
    const { weights } = benchCase;
    return spec.work?.(record.dtype === 'float64' ? 8 : 4, weights && BYTES_PER_WEIGHT[weights]);
  };
  const racing = specs.flatMap((spec) =>
    entrants.flatMap((entrant) => {
      const how = entrant.prepared.measured[spec.id];
      if (how === undefined || !('time' in how)) return [];
      const { found, seat } = entrant;
      return [{ entrant, spec, contender: besideItsLimit(how, seat, workOf(spec, found), found, ceilings) }];
    }),
  );
  if (racing.length > 0) observer.step?.(`${specs[0]!.id}: timing`);
  const outcomes = await sampleInterleaved(
    racing.map(({ contender }) => contender),
    { budget: BUDGET[effort], minSamples: 3, precision: 0.01, minSample: MIN_SAMPLE, pause },
  );
  const pairs = specs.flatMap((spec) => entrants.map((entrant) => ({ spec, entrant })));
  const results: Result[] = [];
  for (const { spec, entrant } of pairs) {
    const head = { ...heading(benchCase, spec, entrant.found), ...(entrant.check && { check: entrant.check }) };
    const how = entrant.prepared.measured[spec.id]!;
    const outcome =
      'seconds' in how
        ? undefined
        : outcomes[racing.findIndex((racer) => racer.entrant === entrant && racer.spec === spec)]!;
    if (outcome !== undefined && 'error' in outcome) {
      results.push({ ...head, status: 'failed', reason: messageOf(outcome.error) });
      continue;
    }
    const once = 'seconds' in how ? how.seconds : 0;
    const time = outcome?.time ?? { median: once, p10: once, p90: once, n: 1, callsPerSample: 1 };
    const work = workOf(spec, entrant.found);
    const { stateBytes } = entrant.prepared;
    // A process may be gone by now; what it measured stays.
    const memory = await entrant.prepared.memory().catch(() => undefined);
    results.push({
      ...head,
      status: 'measured',
      time,
      rate: { perSecond: spec.items / time.median, unit: `${spec.unit}/s` },
      ...(work && { work }),
      ...applyLimit(work, time.median, outcome?.limit, entrant.found, ceilings),
      ...(memory && { memory: { ...memory, ...(stateBytes !== undefined && { state: stateBytes }) } }),
    });
  }
  return results;
}

function heading(benchCase: BenchCase, spec: MeasurementSpec, { record }: FoundBackend) {
  return {
    suite: benchCase.suite,
    case: spec.id,
    backend: record.name,
    dtype: benchCase.weights ?? record.dtype ?? 'float32',
    shape: { ...spec.shape },
    ...(record.slow !== undefined && { slow: record.slow }),
  };
}

async function withReference<T>(body: (reference: Backend) => Promise<T>): Promise<T> {
  const reference = await referenceProvider().create();
  try {
    return await body(reference);
  } finally {
    await reference.dispose();
  }
}

/** One slope for each backend and set of results that differ in nothing but what the suite sweeps. */
function slopesOf({ name, sweep }: Suite, results: readonly Result[]): Report['slopes'] {
  if (sweep === undefined) return [];
  const groups = new Map<string, Result[]>();
  for (const result of results) {
    if (result.suite !== name || result.time === undefined) continue;
    const { [sweep]: _, ...others } = result.shape;
    const key = JSON.stringify([result.backend, result.dtype, others]);
    groups.set(key, [...(groups.get(key) ?? []), result]);
  }
  return [...groups.values()].flatMap((group) => {
    if (group.length < 2) return [];
    const { backend, shape } = group[0]!;
    const { [sweep]: _, ...others } = shape;
    const slope = logLogSlope(group.map((result) => ({ x: result.shape[sweep]!, y: result.time!.median })));
    return [{ suite: name, backend, over: sweep, slope, points: group.length, shape: others }];
  });
}

/** The share of the limit of what ran on the processor, ours alone; of the best of the run where it was not measured in turns. */
function withShare(result: Result, backends: readonly FoundBackend[], ceilings: readonly Ceiling[]): Result {
  const found = backends.find(({ record }) => record.name === result.backend);
  if (found === undefined || result.time === undefined || result.ceiling !== undefined) return result;
  return { ...result, ...applyCeiling(result.work, result.time.median, found, ceilings) };
}

/** How to measure the limits of those that run on the processor: once for each mode and number of threads, in the engine that has it. */
function limitsOf(backends: readonly FoundBackend[], budget: number, pause: Pause): (() => Promise<Ceiling[]>)[] {
  const limits = new Map<string, () => Promise<Ceiling[]>>();
  const own = (mode: Mode, threads: number) => () => measureCeilings({ budget, pause, threads, mode });
  const ready = backends.filter(({ known, record }) => known.onProcessor && record.status === 'ready' && !record.slow);
  for (const { record, ceilings } of ready) {
    const mode = modeOf(record);
    const threads = typeof record.details?.threads === 'number' ? record.details.threads : 1;
    const key = `${mode} ${threads}`;
    if (ceilings !== undefined) limits.set(key, limits.get(key) ?? (() => ceilings(budget)));
    // One thread's as well, which tells what more of them gain.
    else for (const count of [1, threads]) limits.set(`${mode} ${count}`, own(mode, count));
  }
  return limits.size > 0 ? [...limits.values()] : [own('plain', 1)];
}

/** Threads can do no less together than one can alone: less was only measured because other work took the processors. */
function noLessThan(known: readonly Ceiling[], ceiling: Ceiling): Ceiling {
  const others = known.filter(
    ({ bound, threads, mode }) => bound === ceiling.bound && mode === ceiling.mode && threads < ceiling.threads,
  );
  return { ...ceiling, perSecond: Math.max(ceiling.perSecond, ...others.map(({ perSecond }) => perSecond)) };
}

function settingsOf({ suites, stages = [], effort, shapes = {}, backends }: RunOptions): Settings {
  const { models, dtypes, ...extents } = shapes;
  const asked = Object.entries(extents).filter(([, values]) => values !== undefined && values.length > 0);
  const threads = backends.flatMap(({ record }) =>
    record.name.includes('@') ? [Number(record.details?.threads)] : [],
  );
  return {
    suites: [...suites.map(({ name }) => name), ...stages.map(({ suite }) => suite)],
    effort,
    ...(asked.length > 0 && { shapes: Object.fromEntries(asked.map(([name, values]) => [name, [...(values ?? [])]])) }),
    ...(models !== undefined && models.length > 0 && { models: [...models] }),
    ...(dtypes !== undefined && dtypes.length > 0 && { dtypes: [...dtypes] }),
    ...(threads.length > 0 && { threads }),
  };
}

function describeDisagreement({ relativeError, tolerance }: CheckRecord): string {
  const error = relativeError === null ? 'values that are not finite' : `an error of ${relativeError.toExponential(1)}`;
  return `${error} against the reference, where ${tolerance.toExponential(0)} is allowed`;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
