import { openCheckpoint } from '@mamba/checkpoint';
import { type Backend, decodeSnapshot, encodeSnapshot, modelParameters } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { reference } from '@mamba/reference';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type GeneratedPiece,
  generateTokens,
  type LanguageModel,
  loadModel,
  type Mark,
  type Session,
} from '../src/index.ts';
import { fingerprinting } from '../src/load/fingerprint.ts';
import { collect, expectError, FIXTURES, ids, PROVIDERS } from './helpers.ts';

const idsOf = (pieces: readonly GeneratedPiece[]) => pieces.flatMap(({ id }) => (id === undefined ? [] : [id]));

describe.each(PROVIDERS)('sessions on $name', (provider) => {
  let backend: Backend;
  let kjv: LanguageModel;
  let resting: number;
  beforeAll(async () => {
    backend = await provider.create();
    kjv = await loadModel(backend, `${FIXTURES}/kjv-mamba`);
    resting = backend.memory().tensors;
  });
  afterAll(async () => {
    kjv.dispose();
    expect(backend.memory().tensors).toBe(0);
    await backend.dispose();
  });

  it('continues like one run, from text, and starts an empty one with bos', async () => {
    const whole = await collect(kjv.generate({ prompt: 'In the beginning God created', maxTokens: 10 }));
    const session = kjv.createSession();
    await session.append('In the beginning');
    await session.append(' God created');
    const first = await collect(session.generate({ maxTokens: 4 }));
    const second = await collect(session.generate({ maxTokens: 6 }));
    expect([...idsOf(first), ...idsOf(second)]).toEqual(idsOf(whole));
    expect(session.length).toBe(kjv.encode('In the beginning God created').length + 10);
    session.dispose();

    const empty = kjv.createSession();
    const begun = await collect(empty.generate({ maxTokens: 3 }));
    expect(begun).toEqual(await collect(kjv.generate({ prompt: '', maxTokens: 3 })));
    expect(empty.length).toBe(4);
    empty.dispose();
    expect(backend.memory().tensors).toBe(resting);
  });

  it('keeps the given tokens when the loop is left, stopped or aborted', async () => {
    const greedy = idsOf(await collect(kjv.generate({ prompt: 'And God said', maxTokens: 12 })));
    for (const [end, given] of [
      [{ leave: 3 }, 3],
      [{ leave: 5 }, 5],
      [{ abort: 6 }, 6],
      [{ stopIds: [greedy[5]!] }, greedy.indexOf(greedy[5]!)],
    ] as const) {
      const session = kjv.createSession();
      await session.append('And God said');
      const length = session.length;
      const aborter = new AbortController();
      let seen = 0;
      try {
        const stopIds = 'stopIds' in end ? end.stopIds : [];
        for await (const { id } of session.generate({ maxTokens: 12, block: 4, stopIds, signal: aborter.signal })) {
          if (id !== undefined) seen++;
          if ('leave' in end && seen === end.leave) break;
          if ('abort' in end && seen === end.abort) aborter.abort();
        }
      } catch (error) {
        expect(error).toMatchObject({ code: 'aborted' });
      }
      // An abort takes effect between blocks.
      const kept = 'abort' in end ? seen : given;
      expect(session.length).toBe(length + kept);
      const rest = await collect(session.generate({ maxTokens: 12 - kept }));
      expect(idsOf(rest)).toEqual(greedy.slice(kept));
      session.dispose();
    }
    expect(backend.memory().tensors).toBe(resting);
  });

  it('is unchanged after a failed call, and takes one call at a time', async () => {
    const session = kjv.createSession();
    await session.append('And God said');
    const length = session.length;
    await expectError(() => session.append([1, 5000]), 'invalid-argument', '5000');
    await expectError(() => session.append('half a \ud83c'), 'invalid-argument');
    await expectError(() => session.append(' unto them', { signal: AbortSignal.abort() }), 'aborted');
    await expectError(() => session.generate({ prompt: 'x' } as object), 'invalid-argument', 'prompt');
    await expectError(() => session.generate({ temperature: -1 }), 'invalid-argument');
    await expectError(() => session.generate({ presencePenalty: 1, penaltyWindow: 5000 }), 'invalid-argument', '1024');
    expect(session.length).toBe(length);
    for await (const _ of session.generate({ maxTokens: 5 })) {
      await expectError(() => session.append('x'), 'invalid-argument', 'generate');
      await expectError(() => session.mark(), 'invalid-argument', 'generate');
      break;
    }
    await session.append([]);
    expect(session.length).toBe(length + 1);
    session.dispose();
    session.dispose();
    await expectError(() => session.append('x'), 'disposed');
    await expectError(() => session.generate(), 'disposed');
    expect(backend.memory().tensors).toBe(resting);
  });

  it('frees everything when it is disposed during a call', async () => {
    const session = kjv.createSession();
    await session.append('And God said');
    session.mark();
    for await (const _ of session.generate({ maxTokens: 9 })) session.dispose();
    expect(backend.memory().tensors).toBe(resting);
  });

  it('drops the oldest marks beyond the budget', async () => {
    const probe = kjv.createSession();
    await probe.append([1, 2]);
    const each = probe.bytes;
    probe.dispose();
    const session = kjv.createSession({ markBytes: 2 * each });
    await session.append([1, 2]);
    const marks = [session.mark(), session.mark(), session.mark()];
    expect(session.marks).toEqual(marks.slice(1));
    await expectError(() => session.rewind(marks[0]!), 'disposed', 'markBytes');
    session.rewind(marks[1]!);
    session.release(marks[1]!);
    session.release(marks[1]!);
    await expectError(() => session.rewind(marks[1]!), 'disposed');
    session.dispose();
    expect(backend.memory().tensors).toBe(resting);
    await expectError(() => kjv.createSession({ markBytes: -1 }), 'invalid-argument', 'markBytes');
  });

  it('refuses bytes that are of another model, damaged, or not a session', async () => {
    const session = kjv.createSession();
    await session.append('And God said');
    const bytes = await session.save();
    const other = await loadModel(backend, `${FIXTURES}/mamba-tiny`);
    await expectError(() => other.loadSession(bytes), 'foreign', kjv.fingerprint, other.fingerprint);
    await expectError(() => session.copyTo(other), 'foreign');
    other.dispose();
    const damaged = bytes.slice();
    damaged[damaged.length >> 1]! ^= 1;
    await expectError(() => kjv.loadSession(damaged), 'invalid-file');
    await expectError(() => kjv.loadSession(bytes.slice(0, -3)), 'invalid-file');
    const snapshot = decodeSnapshot(bytes);
    const kept = snapshot.extra as object;
    for (const extra of [undefined, 5, { ...kept, pending: [] }, { ...kept, recent: [-1] }])
      await expectError(() => kjv.loadSession(encodeSnapshot({ ...snapshot, extra })), 'invalid-file', 'session');
    await expectError(() => kjv.loadSession(encodeSnapshot({ ...snapshot, fingerprint: undefined })), 'invalid-file');
    session.dispose();
    expect(backend.memory().tensors).toBe(resting);
  });
});

it('gives the same fingerprint if values are read by rows', async () => {
  const { config, source, close } = await openCheckpoint(`${FIXTURES}/kjv-mamba`);
  const digestOf = async (step: number): Promise<string> => {
    const taken = fingerprinting(config, source);
    for (const parameter of modelParameters(config)) {
      const rows = step > 0 ? await taken.source.rows!(parameter) : undefined;
      if (rows === undefined) await taken.source(parameter);
      else
        for (let first = 0; first < rows.shape[0]!; first += step)
          await rows.rows(first, Math.min(step, rows.shape[0]! - first));
    }
    return taken.digest();
  };
  const whole = await digestOf(0);
  for (const step of [7, 100, 2 ** 20]) expect(await digestOf(step)).toBe(whole);
  await close();
});

it('gives a fingerprint that does not depend on backend and dtype', async () => {
  const backends = await Promise.all(PROVIDERS.map((provider) => provider.create()));
  const fingerprints = new Set<string>();
  for (const backend of backends)
    for (const weights of [undefined, ...(backend.name === 'cpu' ? (['float16'] as const) : [])]) {
      const supported = backend.supportsUpload({ dtype: 'float32', shape: [8, 8] }, { dtype: weights, role: 'matrix' });
      if (supported.supported)
        fingerprints.add((await loadModel(backend, `${FIXTURES}/mamba-tiny`, { weights })).fingerprint);
    }
  expect(fingerprints.size).toBe(1);
  // Saved sessions contain it, so that it must never change.
  expect([...fingerprints][0]).toBe('42cacac9f37363cb');
  for (const folder of ['mamba-tiny-f16', 'mamba-tiny-bf16', 'kjv-mamba', 'falcon-mamba-tiny'])
    fingerprints.add((await loadModel(backends[1]!, `${FIXTURES}/${folder}`)).fingerprint);
  expect(fingerprints.size).toBe(5);
  for (const backend of backends) await backend.dispose();
});

it('a session continues on another backend', async () => {
  const [first, second] = [await reference().create(), await cpu().create()];
  const [slow, fast] = [
    await loadModel(first, `${FIXTURES}/kjv-mamba`),
    await loadModel(second, `${FIXTURES}/kjv-mamba`),
  ];
  const whole = idsOf(await collect(fast.generate({ prompt: 'And God said', maxTokens: 12 })));
  let session = slow.createSession();
  await session.append('And God said');
  const given = idsOf(await collect(session.generate({ maxTokens: 4 })));
  for (const lm of [fast, slow, fast]) {
    const next = await session.copyTo(lm);
    session.dispose();
    session = next;
    given.push(...idsOf(await collect(session.generate({ maxTokens: 2 }))));
  }
  expect(given).toEqual(whole.slice(0, 10));
  session.dispose();
  await first.dispose();
  await second.dispose();
});

describe.each([
  { provider: cpu(), runs: 250 },
  { provider: reference(), runs: 60 },
])('any sequence of calls on $provider.name', ({ provider, runs }) => {
  let backend: Backend;
  let lm: LanguageModel;
  beforeAll(async () => {
    backend = await provider.create();
    lm = await loadModel(backend, `${FIXTURES}/mamba-tiny`);
  });
  afterAll(async () => {
    await backend.dispose();
  });

  /** The expected content of a branch: its ids, and those at its marks. */
  interface Branch {
    session: Session;
    ids: number[];
    marks: { mark: Mark; ids: number[] }[];
    /** The bytes that were saved last, and the ids at that time. */
    saved?: { bytes: Uint8Array; ids: number[] };
  }
  interface World {
    readonly branches: Branch[];
  }
  type Command = fc.AsyncCommand<object, World>;
  const command = (name: string, at: number, act: (branch: Branch, world: World) => Promise<void>): Command => ({
    check: () => true,
    run: async (_, world) => {
      await act(world.branches[at % world.branches.length]!, world);
      for (const { session, ids: known } of world.branches) expect(session.length).toBe(known.length);
    },
    toString: () => `${name}@${at}`,
  });

  /** How often each call was made rather than skipped. */
  const done = { append: 0, generate: 0, fork: 0, mark: 0, rewind: 0, save: 0, load: 0 };
  const at = fc.nat(7);
  const sampling = fc.constantFrom(
    {},
    { temperature: 20, topK: 9 },
    { temperature: 20, repetitionPenalty: 1.3 },
    { presencePenalty: 3 },
  );
  const commands = [
    fc.tuple(at, fc.array(fc.nat(95), { maxLength: 6 }), fc.constantFrom(1, 256)).map(([branch, given, chunk]) =>
      command(`append(${given})`, branch, async (to) => {
        await to.session.append(given, { chunk });
        done.append++;
        to.ids.push(...given);
      }),
    ),
    fc
      .tuple(at, fc.integer({ min: 1, max: 7 }), fc.nat(7), fc.constantFrom(1, 3, 4), sampling, fc.nat(99))
      .map(([branch, maxTokens, leave, block, options, seed]) =>
        command(`generate(${JSON.stringify({ maxTokens, leave, block, options, seed })})`, branch, async (to) => {
          if (to.ids.length === 0) return;
          const generation = { ...options, maxTokens, ...('temperature' in options && { seed }) };
          const straight = await ids(generateTokens(lm.model, to.ids, generation));
          const given: number[] = [];
          for await (const { id } of to.session.generate({ ...generation, block, stopIds: [] })) {
            if (id !== undefined) given.push(id);
            if (given.length === leave) break;
          }
          expect(given).toEqual(straight.slice(0, given.length));
          expect(given.length).toBe(leave > 0 ? Math.min(leave, maxTokens) : maxTokens);
          done.generate++;
          to.ids.push(...given);
        }),
      ),
    at.map((branch) =>
      command('fork', branch, async (from, world) => {
        if (world.branches.length === 4) return;
        world.branches.push({ session: from.session.fork(), ids: [...from.ids], marks: [] });
        done.fork++;
      }),
    ),
    at.map((branch) =>
      command('mark', branch, async (from) => {
        from.marks.push({ mark: from.session.mark(), ids: [...from.ids] });
        done.mark++;
      }),
    ),
    fc.tuple(at, at).map(([branch, which]) =>
      command(`rewind(${which})`, branch, async (from) => {
        const known = from.marks[which % from.marks.length];
        if (known === undefined) return;
        from.session.rewind(known.mark);
        from.ids = [...known.ids];
        done.rewind++;
      }),
    ),
    at.map((branch) =>
      command('save', branch, async (from) => {
        from.saved = { bytes: await from.session.save(), ids: [...from.ids] };
        done.save++;
      }),
    ),
    at.map((branch) =>
      command('load', branch, async (from) => {
        if (from.saved === undefined) return;
        from.session.dispose();
        from.session = lm.loadSession(from.saved.bytes);
        from.ids = [...from.saved.ids];
        from.marks = [];
        done.load++;
      }),
    ),
  ];

  it('equals a straight run', async () => {
    const resting = backend.memory();
    await fc.assert(
      fc.asyncProperty(fc.commands(commands, { maxCommands: 14, size: 'max' }), async (list) => {
        const session = lm.createSession();
        const world: World = { branches: [{ session, ids: [5, 3], marks: [] }] };
        try {
          await session.append([5, 3]);
          await fc.asyncModelRun(() => ({ model: {}, real: world }), list);
          for (const { session, ids: known } of world.branches) {
            if (known.length === 0) continue;
            const straight = await ids(generateTokens(lm.model, known, { maxTokens: 5 }));
            expect(idsOf(await collect(session.generate({ maxTokens: 5, stopIds: [] })))).toEqual(straight);
          }
        } finally {
          for (const { session } of world.branches) session.dispose();
        }
        expect(backend.memory().tensors).toBe(resting.tensors);
        expect(backend.memory().bytes).toBe(resting.bytes);
      }),
      { seed: 21, numRuns: runs },
    );
    for (const [name, count] of Object.entries(done)) expect(count, name).toBeGreaterThan(runs / 8);
  });
});

describe('a session of any length', () => {
  let backend: Backend;
  let lm: LanguageModel;
  beforeAll(async () => {
    backend = await cpu().create();
    lm = await loadModel(backend, `${FIXTURES}/mamba-tiny`);
  });
  afterAll(async () => {
    await backend.dispose();
  });

  it('takes the same memory, and saves as many bytes, over 10,000 generated tokens', async () => {
    const session = lm.createSession();
    await session.append([1, 2, 3]);
    await collect(session.generate({ maxTokens: 1200, stopIds: [] }));
    const [before, saved] = [backend.memory().bytes, (await session.save()).length];
    let most = 0;
    let seen = 0;
    for await (const _ of session.generate({ maxTokens: 9000, stopIds: [], temperature: 20 }))
      if (++seen % 100 === 0) most = Math.max(most, backend.memory().bytes);
    // During a call there are also the state before the latest tokens, and their random numbers.
    expect(most - before).toBeLessThan(2 * session.bytes + 4096);
    expect(backend.memory().bytes).toBe(before);
    expect(Math.abs((await session.save()).length - saved)).toBeLessThan(512);
    session.dispose();
  });

  it('reads a prompt of 2^17 tokens in the memory of a short one', async () => {
    const session = lm.createSession();
    await session.append(new Array<number>(1024).fill(7));
    const [before, saved] = [backend.memory(), (await session.save()).length];
    let most = 0;
    const onProgress = (): void => {
      most = Math.max(most, backend.memory().reserved);
    };
    await session.append(new Array<number>(2 ** 17).fill(7), { onProgress });
    expect(session.length).toBe(1024 + 2 ** 17);
    expect(backend.memory().bytes).toBe(before.bytes);
    expect(most).toBeLessThanOrEqual(before.reserved + session.bytes);
    expect(Math.abs((await session.save()).length - saved)).toBeLessThan(512);
    session.dispose();
  });
});
