import { readFile } from 'node:fs/promises';
import type { Backend } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Batcher, type GeneratedPiece, type LanguageModel, loadModel, type Session } from '../src/index.ts';
import { collect, expectError, FIXTURES } from './helpers.ts';

const PARTY = '🎉é日';

let backend: Backend;
let kjv: LanguageModel;
let spaced: LanguageModel;
beforeAll(async () => {
  backend = await cpu().create();
  kjv = await loadModel(backend, `${FIXTURES}/kjv-mamba`);
  spaced = await loadModel(backend, await metaspaceFiles());
});
afterAll(async () => {
  kjv.dispose();
  spaced.dispose();
  expect(backend.memory().tensors).toBe(0);
  await backend.dispose();
});

/** Options that force the next token. */
const force = (id: number) => ({ [id]: 100 });
const join = (pieces: readonly GeneratedPiece[]): string => pieces.map(({ text }) => text).join('');
const next = async (session: Session, id: number, options: object = {}): Promise<string> =>
  join(await collect(session.generate({ maxTokens: 1, logitBias: force(id), ...options })));

/** A tiny model whose tokenizer marks words by Metaspace. */
async function metaspaceFiles(): Promise<File[]> {
  const folder = `${FIXTURES}/kjv-mamba`;
  const words = ['<s>', '▁', '▁the', '▁a', 'b', '.', '▁Lord'];
  const tokenizer = {
    ...{ normalizer: null, pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' } },
    ...{ post_processor: null, decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' } },
    added_tokens: [{ id: 0, content: '<s>', special: true, normalized: false }],
    model: { type: 'BPE', vocab: Object.fromEntries(words.map((word, id) => [word, id])), merges: [] },
  };
  const copy = async (name: string) => new File([await readFile(`${folder}/${name}`)], name);
  return [
    await copy('config.json'),
    await copy('model.safetensors'),
    new File([JSON.stringify(tokenizer)], 'tokenizer.json'),
  ];
}

describe('a character of several tokens', () => {
  const between: Readonly<Record<string, (session: Session) => Session | Promise<Session>>> = {
    'a call': (session) => session,
    'a save and a load': async (session) => {
      const loaded = kjv.loadSession(await session.save());
      session.dispose();
      return loaded;
    },
    'a fork': (session) => {
      const fork = session.fork();
      session.dispose();
      return fork;
    },
    'a rewind': async (session) => {
      const mark = session.mark();
      await next(session, 5);
      session.rewind(mark);
      return session;
    },
    'an abort': async (session) => {
      const controller = new AbortController();
      const pieces = session.generate({ maxTokens: 9, signal: controller.signal });
      controller.abort();
      await expectError(() => pieces.next(), 'aborted');
      return session;
    },
  };

  it.each(Object.entries(between))('is completed after %s', async (_, step) => {
    let session = kjv.createSession();
    await session.append('A');
    let text = '';
    for (const id of kjv.encode(PARTY)) {
      text += await next(session, id);
      session = await step(session);
    }
    expect(text).toBe(PARTY);
    session.dispose();
  });

  it('is completed after a loop was left or aborted within it', async () => {
    const [first, ...rest] = kjv.encode('🎉');
    for (const abort of [false, true]) {
      const session = kjv.createSession();
      await session.append('A');
      const controller = new AbortController();
      let text = '';
      const run = async (): Promise<void> => {
        for await (const piece of session.generate({ logitBias: force(first!), signal: controller.signal })) {
          text += piece.text;
          if (!abort) break;
          controller.abort();
        }
      };
      if (abort) await expectError(run, 'aborted');
      else await run();
      for (const id of rest) text += await next(session, id);
      expect(text).toBe('🎉');
      session.dispose();
    }
  });

  it('continues appended bytes, and is U+FFFD if other text comes between', async () => {
    const [first, ...rest] = kjv.encode('🎉');
    const session = kjv.createSession();
    await session.append([first!]);
    let text = '';
    for (const id of rest) text += await next(session, id);
    expect(text).toBe('🎉');
    expect(await next(session, first!)).toBe('');
    await session.append('A');
    expect(await next(session, rest[0]!)).toBe('\ufffd');
    session.dispose();
  });

  it('is U+FFFD at the end of a generation without a session', async () => {
    const [first] = kjv.encode('🎉');
    const pieces = await collect(kjv.generate({ prompt: 'A', maxTokens: 1, logitBias: force(first!) }));
    expect(join(pieces)).toBe('\ufffd');
  });
});

describe('a space between words', () => {
  const words = [2, 6, 4, 0, 3, 1, 2, 5];

  it('does not depend on how a session is split into calls', async () => {
    const session = spaced.createSession();
    await session.append('the');
    let text = '';
    for (const id of words) text += await next(session, id, { stopIds: [] });
    expect(`the${text}`).toBe(spaced.tokenizer!.decode([2, ...words], { skipSpecialTokens: true }));
    expect(text).toBe(' the Lordb a  the.');
    session.dispose();
  });

  it('follows a prompt: alone, in a batch, and with a batcher', async () => {
    const options = { prompt: 'the', maxTokens: 1, logitBias: force(6), stopIds: [] };
    expect(join(await collect(spaced.generate(options)))).toBe(' Lord');
    expect(join(await collect(spaced.generateBatch([options])))).toBe(' Lord');
    expect(join(await collect(spaced.generate({ ...options, batcher: new Batcher(spaced) })))).toBe(' Lord');
    // A special token is not text, so that the word is the first.
    expect(join(await collect(spaced.generate({ ...options, prompt: [0] })))).toBe('Lord');
  });
});
