import { type Backend, MambaError } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Batcher, type LanguageModel, loadModel, PrefixCache } from '../src/index.ts';
import { collect, FIXTURES } from './helpers.ts';

/** Every way of generating, with each call of the backend failing once: it throws the failure, and leaks nothing. */
describe('a backend that fails', () => {
  let backend: Backend;
  let lm: LanguageModel;
  let draft: LanguageModel;
  let resting: number;
  beforeAll(async () => {
    backend = await cpu().create();
    lm = await loadModel(backend, `${FIXTURES}/mamba-tiny`);
    draft = await loadModel(backend, `${FIXTURES}/mamba-tiny-f16`);
    resting = backend.memory().tensors;
  });
  afterAll(() => backend.dispose());

  const sampled = { temperature: 2, seed: 1, stopIds: [], maxTokens: 6, block: 2, chunk: 2 };
  const requests = [
    { prompt: [1, 2, 3, 4, 5], ...sampled },
    { prompt: [6, 7], ...sampled, logProbs: true },
    { prompt: [9], ...sampled, temperature: 0, seed: undefined },
  ];
  const ways: Record<string, () => Promise<unknown>> = {
    plain: () => collect(lm.generate(requests[0]!)),
    'with log-probabilities': () => collect(lm.generate(requests[1]!)),
    'on the host': () => collect(lm.generate({ ...requests[0]!, presencePenalty: 1 })),
    'with a draft': () => collect(lm.generate({ ...requests[0]!, draft })),
    'in a batch': () => collect(lm.generateBatch(requests)),
    'in a batcher': async () => {
      const batcher = new Batcher(lm);
      const ends = requests.map((request) => collect(lm.generate({ ...request, batcher })));
      const failures = (await Promise.allSettled(ends)).filter(({ status }) => status === 'rejected');
      if (failures[0] !== undefined) throw (failures[0] as PromiseRejectedResult).reason;
    },
    'with a cache': async () => {
      const prefixCache = new PrefixCache(lm);
      try {
        await collect(lm.generate({ ...requests[0]!, prefixCache }));
        await collect(lm.generate({ ...requests[0]!, prefixCache }));
      } finally {
        prefixCache.dispose();
      }
    },
    'in a session': async () => {
      const session = lm.createSession();
      try {
        await session.append([1, 2, 3, 4, 5]);
        await collect(session.generate(sampled));
        const mark = session.mark();
        await session.append([3, 4, 5]);
        session.rewind(mark);
        await session.save();
      } finally {
        session.dispose();
      }
    },
  };
  const steps = (): Readonly<Record<string, object>> => ({
    ...Object.fromEntries(
      ['read', 'upload', 'synchronize', 'sample', 'logProb', 'concat'].map((name) => [name, backend]),
    ),
    ...Object.fromEntries(['forward', 'decode', 'gatherState', 'importState'].map((name) => [name, lm.model])),
    'forward of the draft': draft.model,
  });

  /** Makes call number `failing` of a method throw, counted from 1. */
  const sabotage = (target: object, method: string, failing: number) => {
    const original = Reflect.get(target, method) as (...args: unknown[]) => unknown;
    let calls = 0;
    Reflect.set(target, method, (...args: unknown[]) => {
      if (++calls === failing) throw new MambaError('out-of-memory', 'as planned');
      return Reflect.apply(original, target, args);
    });
    return { calls: () => calls, restore: () => Reflect.deleteProperty(target, method) };
  };

  it.each(Object.keys(ways))('leaks nothing when generating %s', async (way) => {
    let failures = 0;
    for (const [step, target] of Object.entries(steps())) {
      for (let failing = 1; ; failing++) {
        const { calls, restore } = sabotage(target, step.split(' ')[0]!, failing);
        let error: unknown;
        try {
          await ways[way]!();
        } catch (reason) {
          error = reason;
        }
        restore();
        expect(backend.memory().tensors, `${step} ${failing}`).toBe(resting);
        if (calls() < failing) break;
        // A batch reads prompts again one by one if they fail together.
        if (error === undefined && way.startsWith('in a batch')) continue;
        expect(error, `${step} ${failing}`).toMatchObject({ message: 'as planned' });
        failures++;
      }
    }
    expect(failures).toBeGreaterThan(6);
  });

  it('leaves a session as it was', async () => {
    const straight = await collect(lm.generate({ ...requests[0]!, maxTokens: 8 }));
    const session = lm.createSession();
    await session.append([1, 2, 3, 4, 5]);
    const spy = vi.spyOn(lm.model, 'decode');
    const given: (number | undefined)[] = [];
    for (let attempt = 0; given.length < 8; attempt++) {
      if (attempt % 2 === 0) spy.mockImplementationOnce(() => expect.unreachable('as planned'));
      try {
        const left = 8 - given.length;
        for await (const { id } of session.generate({ ...sampled, temperature: 0, seed: undefined, maxTokens: left })) {
          if (id === undefined || given.push(id) % 3 === 0) break;
        }
      } catch (error) {
        expect(String(error)).toContain('as planned');
      }
      expect(session.length).toBe(5 + given.length);
    }
    spy.mockRestore();
    const greedy = await collect(lm.generate({ ...requests[0]!, temperature: 0, seed: undefined, maxTokens: 8 }));
    expect(given).toEqual(greedy.slice(0, 8).map(({ id }) => id));
    expect(straight).toHaveLength(9);
    session.dispose();
    expect(backend.memory().tensors).toBe(resting);
  });
});
