/**
 * Opens our backends and peers for a round of the peers' stage, and checks their probabilities against the reference.
 */
import { reference as referenceProvider } from '@mamba/reference';
import type { Pause } from '../cases/contract.ts';
import { Disagreement } from '../errors.ts';
import type { FoundBackend } from '../machine/backends.ts';
import { openRunner, type Runner } from '../runner/runner.ts';
import type { BackendRecord, CheckRecord, Result } from '../schema/report.ts';
import type { Timer } from '../timing/sample.ts';
import type { Format, Peer } from './contract.ts';
import { CHECKED, type OwnCaseOptions, ownCase } from './own.ts';

export type Kind = 'prefill' | 'decode';

/** A backend or a peer that holds the model and agrees with the reference. */
export interface PeerCandidate {
  readonly name: string;
  /** Present for our backends. */
  readonly own?: { readonly found: FoundBackend; readonly runner: Runner } | undefined;
  readonly check: CheckRecord;
  readonly timers: Readonly<Record<Kind, Timer>>;
  memory(): Promise<Result['memory']>;
  close(): Promise<void>;
}

/** Largest error of a log-probability, relative to the largest one: by rounding, and by fewer bits in the weights. */
const TOLERANCES: Readonly<Record<Format, number>> = { F32: 1e-4, F16: 5e-3, Q8_0: 5e-2 };

export async function openOwn(
  found: FoundBackend,
  own: OwnCaseOptions,
  expected: Float64Array,
  pause: Pause,
): Promise<PeerCandidate> {
  const runner = await openRunner(found);
  try {
    const prepared = await runner.prepare(ownCase(own), { own }, pause);
    const { logProbs } = await prepared.actual();
    const check = compareLogProbs(new Map(logProbs!.entries()), expected, own.format);
    const { prefill, decode } = prepared.measured as Record<Kind, Timer>;
    return {
      name: found.record.name,
      own: { found, runner },
      check,
      timers: { prefill, decode },
      memory: () => prepared.memory(),
      close: () => runner.dispose(),
    };
  } catch (error) {
    await runner.dispose();
    throw error;
  }
}

export async function openPeer(
  peer: Peer,
  name: string,
  task: Parameters<Peer['open']>[0],
  format: Format,
  expected: Float64Array,
  backends: readonly BackendRecord[],
): Promise<PeerCandidate> {
  const session = await peer.open(task);
  try {
    const record = backends.find((known) => known.name === name);
    if (record !== undefined) record.how = session.how;
    const check = compareLogProbs(await session.logProbs(CHECKED), expected, format);
    const timer = (body: () => Promise<void>): Timer => ({
      async time(calls) {
        const start = performance.now();
        for (let call = 0; call < calls; call++) await body();
        return performance.now() - start;
      },
    });
    return {
      name,
      check,
      timers: { prefill: timer(() => session.prefill()), decode: timer(() => session.decode()) },
      memory: async () => undefined,
      close: () => session.close(),
    };
  } catch (error) {
    await session.close();
    throw error;
  }
}

export async function referenceLogProbs(own: OwnCaseOptions, pause: Pause): Promise<Float64Array> {
  const backend = await referenceProvider().create();
  try {
    const { logProbs } = await ownCase(own).expected(backend, pause);
    return Float64Array.from(logProbs!);
  } finally {
    await backend.dispose();
  }
}

/** @throws Disagreement */
function compareLogProbs(actual: ReadonlyMap<number, number>, expected: Float64Array, format: Format): CheckRecord {
  let scale = 0;
  let error = actual.size === 0 ? Number.NaN : 0;
  for (const value of expected) scale = Math.max(scale, Math.abs(value));
  for (const [token, value] of actual) {
    const difference = Math.abs(value - (expected[token] ?? Number.NaN));
    if (!(difference <= error)) error = difference;
  }
  const relative = error / scale;
  const finite = Number.isFinite(relative);
  const tolerance = TOLERANCES[format];
  const which = actual.size === expected.length ? 'all tokens' : `the ${actual.size} likeliest tokens`;
  const check: CheckRecord = {
    pass: finite && relative <= tolerance,
    maxAbsError: finite ? error : null,
    scale,
    relativeError: finite ? relative : null,
    tolerance,
    checked: `log-probabilities of ${which} after ${CHECKED} tokens`,
  };
  if (!check.pass) throw new Disagreement(check);
  return check;
}
