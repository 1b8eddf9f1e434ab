/**
 * Our backends and other projects on one model: the same seeded weights, written out as GGUF for peers, the same prompt. Nothing is
 * timed whose probabilities are not the reference's; all take turns.
 */
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createFile, writeGguf } from '@mamba/checkpoint';
import { seededWeights } from '@mamba/conformance';
import { BYTES_PER_WEIGHT, isMambaError, type ModelConfig } from '@mamba/core';
import { reference as referenceProvider } from '@mamba/reference';
import { modelWork } from '../cases/work.ts';
import type { FoundBackend } from '../machine/backends.ts';
import { Disagreement, MIN_SAMPLE, messageOf, type Stage, type StageContext, Stopped } from '../run.ts';
import type { CheckRecord, Result } from '../schema/report.ts';
import { openSeat, type Seat } from '../seat/seat.ts';
import { applyLimit, besideItsLimit } from '../timing/limit.ts';
import { type Contender, sampleInterleaved } from '../timing/sample.ts';
import type { Format, Peer } from './contract.ts';
import { missingPackages, peerFolder } from './folder.ts';
import { CHECKED, type OwnCaseOptions, ownCase, PEER_DTYPES, SEED } from './own.ts';
import { byteTokenizer, LETTERS, letterToken } from './vocabulary.ts';

export interface PeerStageOptions {
  readonly peers: readonly Peer[];
  readonly backends: readonly FoundBackend[];
  readonly config: ModelConfig;
  readonly prefill: number;
  readonly decode: number;
  /** Each peer runs with each of these numbers. */
  readonly threads: readonly number[];
  readonly rounds: readonly PeerRound[];
}

/** One format: all contenders hold the model at once, and take turns. */
export interface PeerRound {
  readonly format: Format;
  readonly kinds: readonly Kind[];
  /** Who takes part; `peer` is absent for ours. Default: all. */
  readonly takes?: ((contender: { readonly peer?: string; readonly threads: number }) => boolean) | undefined;
}

export type Kind = 'prefill' | 'decode';

/** Calls of seconds each: few of them, but enough for a spread. */
const MIN_SAMPLES = 5;
/** Largest error of a logarithm of a probability, relative to the largest: of rounding, and of fewer bits in the weights. */
const TOLERANCES: Readonly<Record<Format, number>> = { F32: 1e-4, F16: 5e-3, Q8_0: 5e-2 };

export function peerStage(options: PeerStageOptions): Stage {
  return {
    suite: 'peers',
    seconds: options.rounds.reduce((sum, round) => sum + secondsOf(round), 0),
    async run(context) {
      const folder = await mkdtemp(join(tmpdir(), 'mamba-peers-'));
      const clean = (): void => rmSync(folder, { recursive: true, force: true });
      process.once('exit', clean);
      try {
        await runRounds(options, folder, context);
      } finally {
        process.off('exit', clean);
        clean();
      }
    },
  };
}

/** Some three seconds for each of a dozen contenders and samples, and the opening. */
function secondsOf({ kinds }: PeerRound): number {
  return 40 + 90 * kinds.length;
}

interface Entrant {
  readonly name: string;
  /** Where it is ours. */
  readonly own?: { readonly found: FoundBackend; readonly seat: Seat } | undefined;
  readonly check: CheckRecord;
  readonly contenders: Readonly<Record<Kind, Contender>>;
  memory(): Promise<Result['memory']>;
  close(): Promise<void>;
}

async function runRounds(options: PeerStageOptions, folder: string, context: StageContext): Promise<void> {
  const { config, prefill, decode, rounds } = options;
  const { observer, pause } = context;
  const text = Array.from({ length: prefill }, (_, index) => LETTERS[(index * 7 + Math.floor(index / 26)) % 26]!).join(
    '',
  );
  const prompt = [...text].map(letterToken);
  const ready = await readyPeers(options, context);
  observer.step?.('peers: reference');
  const expected = await referenceLogProbs({ config, format: 'F32', tokens: prompt, decode }, context);
  for (const round of rounds) {
    const { format, takes = () => true } = round;
    await pause();
    observer.step?.(`peers: writing ${format}`);
    const gguf = join(folder, `${format}.gguf`);
    await writeGguf({
      config,
      source: seededWeights(config, SEED),
      type: format,
      tokenizer: byteTokenizer(),
      specialTokens: { bos: undefined, eos: [257] },
      sink: await createFile(gguf),
    });
    const entrants: Entrant[] = [];
    const tryOpen = async (name: string, open: () => Promise<Entrant>): Promise<void> => {
      observer.step?.(`peers, ${format}: opening ${name}`);
      await pause();
      try {
        entrants.push(await open());
      } catch (error) {
        if (error instanceof Stopped) throw error;
        const status =
          error instanceof Disagreement ? 'disagrees' : isMambaError(error, 'unsupported') ? 'skipped' : 'failed';
        const check = error instanceof Disagreement ? { check: error.check } : {};
        for (const kind of round.kinds)
          context.results.push({ ...heading(options, kind, format, name), status, reason: messageOf(error), ...check });
      }
    };
    try {
      for (const found of options.backends) {
        const { record } = found;
        if (record.status !== 'ready' || record.slow !== undefined) continue;
        if (!takes({ threads: Number(record.details?.threads ?? 1) })) continue;
        await tryOpen(record.name, () => openOwn(found, { config, format, tokens: prompt, decode }, expected, pause));
      }
      for (const { peer, name, threads } of ready) {
        if (!peer.formats.includes(format) || !takes({ peer: peer.name, threads })) continue;
        const source = seededWeights(config, SEED);
        const task = { folder: peerFolder(peer), gguf, config, source, threads, prompt, text, decode };
        await tryOpen(name, () => openPeer(peer, name, task, format, expected, context));
      }
      for (const kind of round.kinds) await race(options, kind, format, entrants, context);
    } finally {
      for (const entrant of entrants) await entrant.close();
      await rm(gguf, { force: true });
    }
    observer.advance?.(secondsOf(round));
  }
}

/** Those that are installed and take part, once for each number of threads; they leave a record in the report, and so does what is missing. */
async function readyPeers({ peers, threads, rounds }: PeerStageOptions, { backends }: StageContext) {
  const ready: { peer: Peer; name: string; threads: number }[] = [];
  for (const peer of peers) {
    const missing = await missingPackages(peer);
    const base = { peer: true, description: peer.description, version: Object.values(peer.packages)[0]! };
    if (missing.length > 0) {
      const reason = `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing. Run mamba-bench peers install.`;
      backends.push({ ...base, name: peer.name, status: 'not-installed', reason });
      continue;
    }
    for (const count of threads) {
      const takesPart = rounds.some(
        ({ format, takes = () => true }) => peer.formats.includes(format) && takes({ peer: peer.name, threads: count }),
      );
      if (!takesPart) continue;
      const name = threads.length === 1 ? peer.name : `${peer.name}@${count}`;
      backends.push({ ...base, name, status: 'ready', details: { threads: count } });
      ready.push({ peer, name, threads: count });
    }
  }
  return ready;
}

async function openOwn(
  found: FoundBackend,
  own: OwnCaseOptions,
  expected: Float64Array,
  pause: StageContext['pause'],
): Promise<Entrant> {
  const seat = await openSeat(found);
  try {
    const prepared = await seat.prepare(ownCase(own), { own }, pause);
    const { logProbs } = await prepared.actual();
    const check = compareLogProbs(new Map(logProbs!.entries()), expected, own.format);
    const { prefill, decode } = prepared.measured as Record<Kind, Contender>;
    return {
      name: found.record.name,
      own: { found, seat },
      check,
      contenders: { prefill, decode },
      memory: () => prepared.memory(),
      close: () => seat.dispose(),
    };
  } catch (error) {
    await seat.dispose();
    throw error;
  }
}

async function openPeer(
  peer: Peer,
  name: string,
  task: Parameters<Peer['open']>[0],
  format: Format,
  expected: Float64Array,
  { backends }: StageContext,
): Promise<Entrant> {
  const session = await peer.open(task);
  try {
    const record = backends.find((known) => known.name === name);
    if (record !== undefined) record.how = session.how;
    const check = compareLogProbs(await session.logProbs(CHECKED), expected, format);
    const contender = (body: () => Promise<void>): Contender => ({
      async time(calls) {
        const start = performance.now();
        for (let call = 0; call < calls; call++) await body();
        return performance.now() - start;
      },
    });
    return {
      name,
      check,
      contenders: { prefill: contender(() => session.prefill()), decode: contender(() => session.decode()) },
      memory: async () => undefined,
      close: () => session.close(),
    };
  } catch (error) {
    await session.close();
    throw error;
  }
}

async function race(
  options: PeerStageOptions,
  kind: Kind,
  format: Format,
  entrants: readonly Entrant[],
  { observer, pause, results, budget, ceilings }: StageContext,
): Promise<void> {
  observer.step?.(`peers/${kind}, ${format}: timing`);
  const { config, prefill, decode } = options;
  const bytesPerWeight = BYTES_PER_WEIGHT[PEER_DTYPES[format]];
  const whole = modelWork(config, prefill, 1, 4, { bytesPerWeight });
  const step = modelWork(config, 1, 1, 4, { bytesPerWeight });
  const work = kind === 'prefill' ? whole : { operations: decode * step.operations, bytes: decode * step.bytes };
  const outcomes = await sampleInterleaved(
    entrants.map(({ contenders, own }) =>
      own === undefined ? contenders[kind] : besideItsLimit(contenders[kind], own.seat, work, own.found, ceilings),
    ),
    { budget: 2 * budget, minSamples: MIN_SAMPLES, precision: 0.01, minSample: MIN_SAMPLE, pause },
  );
  for (const [index, entrant] of entrants.entries()) {
    const outcome = outcomes[index]!;
    const head = { ...heading(options, kind, format, entrant.name), check: entrant.check };
    if ('error' in outcome) {
      results.push({ ...head, status: 'failed', reason: messageOf(outcome.error) });
      continue;
    }
    const { time } = outcome;
    const memory = await entrant.memory().catch(() => undefined);
    results.push({
      ...head,
      status: 'measured',
      time,
      rate: { perSecond: (kind === 'prefill' ? prefill : decode) / time.median, unit: 'tokens/s' },
      work,
      ...(entrant.own && applyLimit(work, time.median, outcome.limit, entrant.own.found, ceilings)),
      ...(memory && { memory }),
    });
  }
}

function heading({ config, prefill, decode }: PeerStageOptions, kind: Kind, format: Format, backend: string) {
  const { layers, dModel, vocabSize } = config;
  const length = kind === 'prefill' ? prefill : decode;
  return {
    suite: 'peers',
    case: `peers/${kind}-${length}-layers-${layers}`,
    backend,
    dtype: PEER_DTYPES[format],
    shape: { layers, dModel, vocabSize, batch: 1, length },
  };
}

async function referenceLogProbs(own: OwnCaseOptions, { pause }: StageContext): Promise<Float64Array> {
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
