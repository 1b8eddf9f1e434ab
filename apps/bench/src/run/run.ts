/**
 * A run: the machine's limits first, then suite by suite. The backends that can take a suite's full shapes are measured
 * in turns; slow backends follow with smaller shapes. Nothing is timed unless it agreed with the reference in the same
 * run. A run that is stopped keeps the results that it has.
 */
import { platform } from '#platform';
import { Stopped } from '../errors.ts';
import { type BackendRecord, type Ceiling, KIND, type Report, type Result, SCHEMA_VERSION } from '../schema/report.ts';
import { version } from '../version.ts';
import { runGroup } from './job.ts';
import { measureLimits } from './limits.ts';
import { BUDGET, type RunOptions } from './options.ts';
import { planRun, secondsOf } from './plan.ts';
import { settingsOf, slopesOf, withShare } from './results.ts';

export async function runBench(options: RunOptions): Promise<Report> {
  const { suites, backends, effort, stages = [], signal, observer = {} } = options;
  const startedAt = new Date().toISOString();
  const machine = platform.machineFacts();
  const ceilings: Ceiling[] = [];
  const results: Result[] = [];
  /** The candidates of stages. */
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
  const limits = () => measureLimits(ceilings, backends, { budget: BUDGET[effort] / 3, pause });
  try {
    observer.step?.('limits of this machine');
    await limits();
    const plans = planRun(options);
    observer.begin?.(ceilings, secondsOf(plans) + stages.reduce((sum, { seconds }) => sum + seconds, 0));
    for (const { suite, groups } of plans) {
      for (const group of groups) await runGroup(group, { results, ceilings, pause, effort, observer });
      observer.suite?.(suite.name, snapshot(false));
    }
    for (const stage of stages) {
      await stage.run({ results, ceilings, backends: others, pause, budget: BUDGET[effort], observer });
      observer.suite?.(stage.suite, snapshot(false));
    }
    if (results.length > 0) {
      observer.step?.('limits of this machine, again');
      await limits();
    }
    return snapshot(false);
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    return snapshot(true);
  }
}
