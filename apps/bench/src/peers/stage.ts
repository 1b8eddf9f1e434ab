/**
 * Measures our backends and other projects on one model: the same seeded weights, written out as GGUF for peers, and
 * the same prompt. All take turns; nothing is timed unless its probabilities agree with the reference's.
 */
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createFile, writeGguf } from '@mamba/checkpoint';
import { seededWeights } from '@mamba/conformance';
import { BYTES_PER_WEIGHT, isMambaError, type ModelConfig } from '@mamba/core';
import { modelShape, modelWork } from '../cases/model-work.ts';
import { Disagreement, messageOf, Stopped } from '../errors.ts';
import type { FoundBackend } from '../machine/backends.ts';
import type { Stage, StageContext } from '../run/options.ts';
import { applyLimit, besideItsLimit } from '../timing/limit.ts';
import { MIN_SAMPLE, sampleInterleaved } from '../timing/sample.ts';
import { type Kind, openOwn, openPeer, type PeerCandidate, referenceLogProbs } from './candidates.ts';
import type { Format, Peer } from './contract.ts';
import { missingPackages, peerFolder } from './folder.ts';
import { PEER_DTYPES, SEED } from './own.ts';
import { byteTokenizer, END_OF_TEXT, LETTERS, letterToken } from './vocabulary.ts';

export interface PeerStageOptions {
  readonly peers: readonly Peer[];
  readonly backends: readonly FoundBackend[];
  readonly config: ModelConfig;
  readonly prefill: number;
  readonly decode: number;
  /** Numbers of threads: each peer runs with each of them. */
  readonly threads: readonly number[];
  readonly rounds: readonly PeerRound[];
}

/** A round measures one format: all candidates hold the model at once and take turns. */
export interface PeerRound {
  readonly format: Format;
  readonly kinds: readonly Kind[];
  /** Whether a candidate takes part; `peer` is absent for our backends. Default: all do. */
  readonly takes?: ((candidate: { readonly peer?: string; readonly threads: number }) => boolean) | undefined;
}

/** Calls take seconds each: few samples, but enough for a spread. */
const MIN_SAMPLES = 5;

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

/** A rough estimate: three seconds for each of a dozen candidates and their samples, and the opening. */
function secondsOf({ kinds }: PeerRound): number {
  return 40 + 90 * kinds.length;
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
  const expected = await referenceLogProbs({ config, format: 'F32', tokens: prompt, decode }, pause);
  for (const round of rounds) {
    const { format, takes = () => true } = round;
    await pause();
    observer.step?.(`peers: writing ${format}`);
    const gguf = join(folder, `${format}.gguf`);
    await writeGguf({
      config,
      source: seededWeights(config, SEED),
      type: format,
      tokenizer: await byteTokenizer(),
      specialTokens: { bos: undefined, eos: [END_OF_TEXT] },
      sink: await createFile(gguf),
    });
    const candidates: PeerCandidate[] = [];
    const tryOpen = async (name: string, open: () => Promise<PeerCandidate>): Promise<void> => {
      observer.step?.(`peers, ${format}: opening ${name}`);
      await pause();
      try {
        candidates.push(await open());
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
        await tryOpen(name, () => openPeer(peer, name, task, format, expected, context.backends));
      }
      for (const kind of round.kinds) await measure(options, kind, format, candidates, context);
    } finally {
      for (const candidate of candidates) await candidate.close();
      await rm(gguf, { force: true });
    }
    observer.advance?.(secondsOf(round));
  }
}

/**
 * The peers that are installed and take part, once for each number of threads. They and the missing ones leave a record
 * in the report.
 */
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

async function measure(
  options: PeerStageOptions,
  kind: Kind,
  format: Format,
  candidates: readonly PeerCandidate[],
  { observer, pause, results, budget, ceilings }: StageContext,
): Promise<void> {
  observer.step?.(`peers/${kind}, ${format}: timing`);
  const { config, prefill, decode } = options;
  const bytesPerWeight = BYTES_PER_WEIGHT[PEER_DTYPES[format]];
  const whole = modelWork(config, prefill, 1, 4, { bytesPerWeight });
  const step = modelWork(config, 1, 1, 4, { bytesPerWeight });
  const work = kind === 'prefill' ? whole : { operations: decode * step.operations, bytes: decode * step.bytes };
  const outcomes = await sampleInterleaved(
    candidates.map(({ timers, own }) =>
      own === undefined ? timers[kind] : besideItsLimit(timers[kind], own.runner, work, own.found, ceilings),
    ),
    { budget: 2 * budget, minSamples: MIN_SAMPLES, precision: 0.01, minSample: MIN_SAMPLE, pause },
  );
  for (const [index, candidate] of candidates.entries()) {
    const outcome = outcomes[index]!;
    const head = { ...heading(options, kind, format, candidate.name), check: candidate.check };
    if ('error' in outcome) {
      results.push({ ...head, status: 'failed', reason: messageOf(outcome.error) });
      continue;
    }
    const { time } = outcome;
    const memory = await candidate.memory().catch(() => undefined);
    results.push({
      ...head,
      status: 'measured',
      time,
      rate: { perSecond: (kind === 'prefill' ? prefill : decode) / time.median, unit: 'tokens/s' },
      work,
      ...(candidate.own && applyLimit(work, time.median, outcome.limit, candidate.own.found, ceilings)),
      ...(memory && { memory }),
    });
  }
}

function heading({ config, prefill, decode }: PeerStageOptions, kind: Kind, format: Format, backend: string) {
  const shape = modelShape(config);
  const length = kind === 'prefill' ? prefill : decode;
  return {
    suite: 'peers',
    case: `peers/${kind}-${length}-layers-${shape.layers}`,
    backend,
    dtype: PEER_DTYPES[format],
    shape: { ...shape, batch: 1, length },
  };
}
