/**
 * Our backends and other projects on one model: the same seeded weights, written out as GGUF for peers, the same prompt. Nothing is
 * timed whose probabilities are not the reference's; all take turns.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFile, writeGguf } from '@mamba/checkpoint';
import { seededWeights } from '@mamba/conformance';
import { type Backend, createModel, type DType, isMambaError, type Model, type ModelConfig } from '@mamba/core';
import { reference as referenceProvider } from '@mamba/reference';
import { BYTES_PER_WEIGHT, modelWork } from '../cases/work.ts';
import type { FoundBackend } from '../machine/backends.ts';
import { Disagreement, messageOf, type Stage, type StageContext, Stopped } from '../run.ts';
import type { CheckRecord, Result } from '../schema/report.ts';
import { applyCeiling } from '../timing/limit.ts';
import { sampleInterleaved } from '../timing/sample.ts';
import type { Format, Peer } from './contract.ts';
import { missingPackages, peerFolder } from './folder.ts';
import { byteTokenizer, LETTERS, letterToken } from './vocabulary.ts';

export interface PeerStageOptions {
  readonly peers: readonly Peer[];
  readonly backends: readonly FoundBackend[];
  readonly config: ModelConfig;
  readonly prefill: number;
  readonly decode: number;
  /** Each peer runs with each of these numbers. */
  readonly threads: readonly number[];
  readonly formats: readonly Format[];
}

/** What our backends call it. */
export const PEER_DTYPES: Readonly<Record<Format, DType>> = { F32: 'float32', F16: 'float16', Q8_0: 'q8' };
/** Largest error of a logarithm of a probability, relative to the largest: of rounding, and of fewer bits in the weights. */
const TOLERANCES: Readonly<Record<Format, number>> = { F32: 1e-4, F16: 5e-3, Q8_0: 5e-2 };
const CHECKED = 9;
const SEED = 130;

export function peerStage(options: PeerStageOptions): Stage {
  return {
    suite: 'peers',
    seconds: 40 * options.formats.length,
    async run(context) {
      const folder = await mkdtemp(join(tmpdir(), 'mamba-peers-'));
      try {
        await runFormats(options, folder, context);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}

interface Entrant {
  readonly name: string;
  readonly found?: FoundBackend | undefined;
  readonly check: CheckRecord;
  prefill(): void;
  decode(): void;
  synchronize(): Promise<void>;
  memory(): Result['memory'];
  close(): Promise<void>;
}

async function runFormats(options: PeerStageOptions, folder: string, context: StageContext): Promise<void> {
  const { config, prefill, formats } = options;
  const { observer, pause } = context;
  const text = Array.from({ length: prefill }, (_, index) => LETTERS[(index * 7 + Math.floor(index / 26)) % 26]!).join(
    '',
  );
  const prompt = [...text].map(letterToken);
  const ready = await readyPeers(options, context);
  observer.step?.('peers: reference');
  const expected = await referenceLogProbs(config, prompt.slice(0, CHECKED), context);
  for (const format of formats) {
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
        for (const kind of ['prefill', 'decode'] as const)
          context.results.push({ ...heading(options, kind, format, name), status, reason: messageOf(error), ...check });
      }
    };
    try {
      for (const found of options.backends) {
        if (found.provider === undefined || found.record.slow !== undefined) continue;
        await tryOpen(found.record.name, () => openOwn(found, options, format, prompt, expected));
      }
      for (const { peer, name, threads } of ready) {
        const { decode } = options;
        const task = {
          folder: peerFolder(peer),
          gguf,
          config,
          source: seededWeights(config, SEED),
          threads,
          prompt,
          text,
          decode,
        };
        if (peer.formats.includes(format))
          await tryOpen(name, () => openPeer(peer, name, task, format, expected, context));
      }
      for (const kind of ['prefill', 'decode'] as const) await race(options, kind, format, entrants, context);
    } finally {
      for (const entrant of entrants) await entrant.close();
      await rm(gguf, { force: true });
    }
    observer.advance?.(40);
  }
}

/** Those that are installed, once for each number of threads; all leave a record in the report. */
async function readyPeers({ peers, threads }: PeerStageOptions, { backends }: StageContext) {
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
      const name = threads.length === 1 ? peer.name : `${peer.name}@${count}`;
      backends.push({ ...base, name, status: 'ready', details: { threads: count } });
      ready.push({ peer, name, threads: count });
    }
  }
  return ready;
}

async function openOwn(
  found: FoundBackend,
  { config, decode }: PeerStageOptions,
  format: Format,
  prompt: readonly number[],
  expected: Float64Array,
): Promise<Entrant> {
  const backend = await found.provider!.create();
  try {
    const model = await createModel(backend, config, seededWeights(config, SEED), { weights: PEER_DTYPES[format] });
    const ids = Int32Array.from(prompt);
    const check = compareLogProbs(await modelLogProbs(backend, model, prompt.slice(0, CHECKED)), expected, format);
    return {
      name: found.record.name,
      found,
      check,
      prefill() {
        const { logits, state } = model.forward([ids]);
        logits?.dispose();
        state.dispose();
      },
      decode() {
        const result = model.decode([ids.subarray(0, 1)], undefined, { count: decode });
        result.ids.dispose();
        result.state.dispose();
      },
      synchronize: () => backend.synchronize(),
      memory() {
        const { bytes, reserved } = backend.memory();
        return { tensors: bytes, reserved, process: 0 };
      },
      close: () => backend.dispose(),
    };
  } catch (error) {
    await backend.dispose();
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
    let pending: Promise<void> = Promise.resolve();
    const after = (body: () => Promise<void>): void => {
      pending = pending.then(body);
      // It is awaited, and its failure thrown, in synchronize.
      pending.catch(() => {});
    };
    return {
      name,
      check,
      prefill: () => after(() => session.prefill()),
      decode: () => after(() => session.decode()),
      synchronize: () => pending,
      memory: () => undefined,
      close: () => session.close(),
    };
  } catch (error) {
    await session.close();
    throw error;
  }
}

async function race(
  options: PeerStageOptions,
  kind: 'prefill' | 'decode',
  format: Format,
  entrants: readonly Entrant[],
  { observer, pause, results, budget, ceilings }: StageContext,
): Promise<void> {
  observer.step?.(`peers/${kind}, ${format}: timing`);
  const outcomes = await sampleInterleaved(
    entrants.map((entrant) => ({ run: () => entrant[kind](), synchronize: () => entrant.synchronize() })),
    { budget: 2 * budget, minSamples: 3, precision: 0.01, minSample: 4, pause },
  );
  const { config, prefill, decode } = options;
  const bytesPerWeight = BYTES_PER_WEIGHT[PEER_DTYPES[format]];
  const whole = modelWork(config, prefill, 1, 4, { bytesPerWeight });
  const step = modelWork(config, 1, 1, 4, { bytesPerWeight });
  const work = kind === 'prefill' ? whole : { operations: decode * step.operations, bytes: decode * step.bytes };
  for (const [index, entrant] of entrants.entries()) {
    const outcome = outcomes[index]!;
    const head = { ...heading(options, kind, format, entrant.name), check: entrant.check };
    if ('error' in outcome) {
      results.push({ ...head, status: 'failed', reason: messageOf(outcome.error) });
      continue;
    }
    const { time } = outcome;
    const memory = entrant.memory();
    results.push({
      ...head,
      status: 'measured',
      time,
      rate: { perSecond: (kind === 'prefill' ? prefill : decode) / time.median, unit: 'tokens/s' },
      work,
      ...(entrant.found && applyCeiling(work, time.median, entrant.found, ceilings)),
      ...(memory && { memory }),
    });
  }
}

function heading(
  { config, prefill, decode }: PeerStageOptions,
  kind: 'prefill' | 'decode',
  format: Format,
  backend: string,
) {
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

async function referenceLogProbs(
  config: ModelConfig,
  ids: readonly number[],
  { pause }: StageContext,
): Promise<Float64Array> {
  const backend = await referenceProvider().create();
  try {
    const source = seededWeights(config, SEED);
    const model = await createModel(backend, config, async (parameter) => {
      await pause();
      return source(parameter);
    });
    const logProbs = await modelLogProbs(backend, model, ids);
    return Float64Array.from({ length: config.vocabSize }, (_, token) => logProbs.get(token)!);
  } finally {
    await backend.dispose();
  }
}

async function modelLogProbs(backend: Backend, model: Model, ids: readonly number[]): Promise<Map<number, number>> {
  const { logits, state } = model.forward([ids]);
  const values = await backend.read(logits!);
  logits!.dispose();
  state.dispose();
  let most = Number.NEGATIVE_INFINITY;
  for (const value of values) most = Math.max(most, value);
  let sum = 0;
  for (const value of values) sum += Math.exp(value - most);
  const shift = most + Math.log(sum);
  return new Map(Array.from(values, (value, token) => [token, value - shift]));
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
