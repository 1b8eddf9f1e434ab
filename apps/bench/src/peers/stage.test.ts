import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openCheckpoint } from '@mamba/checkpoint';
import { createModel, modelConfig } from '@mamba/core';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBackends } from '../machine/backends.ts';
import { runBench } from '../run/run.ts';
import { parseReport } from '../schema/report.ts';
import type { Peer, PeerTask } from './contract.ts';
import { peerFolder } from './folder.ts';
import { peerStage } from './stage.ts';
import { byteTokenizer, LETTERS, letterToken } from './vocabulary.ts';

const config = modelConfig({ layers: 2, dModel: 32, vocabSize: 300 });
const closed: string[] = [];

/** Reads the GGUF that it is given, and computes with the reference; `shift` makes it wrong. */
function fakePeer(name: string, shift = 0): Peer {
  return {
    name,
    description: `a fake called ${name}`,
    packages: { fake: '1.0.0' },
    formats: ['F32'],
    async open({ gguf, prompt, decode }: PeerTask) {
      const backend = await reference().create();
      const checkpoint = await openCheckpoint(gguf);
      const model = await createModel(backend, checkpoint.config, checkpoint.source);
      return {
        how: 'gently',
        async logProbs(length) {
          const { logits } = model.forward([prompt.slice(0, length)]);
          const values = Array.from(await backend.read(logits!));
          const sum = Math.log(values.reduce((total, value) => total + Math.exp(value), 0));
          return new Map(values.map((value, token) => [token, value - sum + (token === 7 ? shift : 0)]));
        },
        async prefill() {
          model.forward([prompt]).state.dispose();
        },
        async decode() {
          model.decode([prompt.slice(0, 1)], undefined, { count: decode }).state.dispose();
        },
        async close() {
          closed.push(name);
          await checkpoint.close();
          await backend.dispose();
        },
      };
    },
  };
}

const sound = fakePeer('fake-sound');
const wrong = fakePeer('fake-wrong', 0.5);
const broken: Peer = {
  ...fakePeer('fake-broken'),
  open: async () => {
    throw new Error('it has no room here');
  },
};
const absent = fakePeer('fake-absent');

beforeAll(async () => {
  for (const peer of [sound, wrong, broken]) {
    const folder = join(peerFolder(peer), 'node_modules', 'fake');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'package.json'), '{"version":"1.0.0"}');
  }
});
afterAll(async () => {
  for (const peer of [sound, wrong, broken]) await rm(peerFolder(peer), { recursive: true });
});

describe('peers', () => {
  it('take turns with ours on the same weights; those that are wrong, broken or absent are not timed and say why', async () => {
    const backends = await findBackends(['cpu', 'reference']);
    const peers = [sound, wrong, broken, absent];
    const stage = peerStage({
      peers,
      backends,
      config,
      prefill: 24,
      decode: 5,
      threads: [1],
      rounds: [{ format: 'F32', kinds: ['prefill', 'decode'] }],
    });
    const report = await runBench({ suites: [], backends, effort: 'quick', stages: [stage] });
    expect(parseReport(JSON.stringify(report), 'the report')).toEqual(report);
    const shown = report.results.map(({ case: id, backend, status }) => `${id} ${backend} ${status}`);
    expect(shown.toSorted()).toEqual(
      ['decode-5', 'prefill-24'].flatMap((kind) => [
        `peers/${kind}-layers-2 cpu measured`,
        `peers/${kind}-layers-2 fake-broken failed`,
        `peers/${kind}-layers-2 fake-sound measured`,
        `peers/${kind}-layers-2 fake-wrong disagrees`,
      ]),
    );
    const of = (name: string) => report.results.find(({ backend }) => backend === name)!;
    expect(of('fake-sound').check).toMatchObject({
      pass: true,
      checked: 'log-probabilities of all tokens after 9 tokens',
    });
    expect(of('fake-broken').reason).toBe('it has no room here');
    expect(of('fake-wrong').check).toMatchObject({ pass: false, maxAbsError: expect.closeTo(0.5, 3) });
    expect(report.backends.find(({ name }) => name === 'fake-sound')).toMatchObject({ peer: true, how: 'gently' });
    expect(report.backends.find(({ name }) => name === 'fake-absent')).toMatchObject({
      status: 'not-installed',
      reason: expect.stringContaining('mamba-bench peers install'),
    });
    expect(closed.toSorted()).toEqual(['fake-sound', 'fake-wrong']);
  });
});

it('names each letter by one token of the tokenizer', async () => {
  const { model } = (await byteTokenizer()) as { model: { vocab: Record<string, number>; merges: string[] } };
  for (const letter of LETTERS) expect(model.vocab[letter]).toBe(letterToken(letter));
  expect(new Set(Object.values(model.vocab)).size).toBe(257);
  expect(model.merges.every((merge) => ![...LETTERS].some((letter) => merge.includes(letter)))).toBe(true);
});
