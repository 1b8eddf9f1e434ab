import { type Backend, createModel, modelConfig } from '@mamba/core';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { initialParameters } from '../model/initialise.ts';
import { Random } from '../random.ts';
import { accuracy } from './accuracy.ts';
import { inductionHeads } from './induction-heads.ts';
import { selectiveCopying } from './selective-copying.ts';
import { type Task, taskBatches } from './task.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await reference().create();
});
afterAll(() => backend.dispose());

describe('induction heads', () => {
  it('has the special token at two places, and asks for what followed it', () => {
    const task = inductionHeads();
    const random = new Random(1);
    const places = new Set<number>();
    for (let draw = 0; draw < 300; draw++) {
      const { ids, answers } = task.draw(random, 8);
      const special = [...ids.keys()].filter((index) => ids[index] === 15);
      expect(special.length).toBe(2);
      expect(special[1]).toBe(7);
      expect([...answers]).toEqual([ids[special[0]! + 1]]);
      places.add(special[0]!);
    }
    expect([...places].sort()).toEqual([0, 1, 2, 3, 4, 5]);
  });
});

describe('selective copying', () => {
  it('has data among noise, and asks for it in order at the markers', () => {
    const task = selectiveCopying({ tokens: 4 });
    const random = new Random(2);
    const counts = new Array<number>(12).fill(0);
    for (let draw = 0; draw < 600; draw++) {
      const { ids, answers } = task.draw(random, 12);
      expect(ids.length).toBe(16);
      expect([...ids.subarray(12)]).toEqual([1, 1, 1, 1]);
      expect([...ids.subarray(0, 12)].filter((id) => id !== 0)).toEqual([...answers]);
      expect(answers.every((token) => token >= 2 && token < 16)).toBe(true);
      for (const [place, id] of ids.subarray(0, 12).entries()) if (id !== 0) counts[place]!++;
    }
    // Each place holds data in a third of the draws: 200, with a deviation of 12.
    for (const count of counts) expect(Math.abs(count - 200)).toBeLessThan(60);
  });
});

describe('batches of a task', () => {
  const options = { batch: 3, lengths: [8, 16], seed: 4 };

  it('takes the lengths in turn, and has targets where answers are due', async () => {
    const source = taskBatches(inductionHeads(), options);
    const [short, long] = [await source.next(), await source.next()];
    expect([short.length, long.length]).toEqual([8, 16]);
    const due = [...short.targets.keys()].filter((index) => short.targets[index]! >= 0);
    expect(due).toEqual([7, 15, 23]);
  });

  it('goes on from a saved place', async () => {
    const source = taskBatches(selectiveCopying({ tokens: 2 }), options);
    for (let index = 0; index < 3; index++) await source.next();
    const again = taskBatches(selectiveCopying({ tokens: 2 }), options);
    again.restore(JSON.parse(JSON.stringify(source.state())));
    for (let index = 0; index < 3; index++) expect(await again.next()).toEqual(await source.next());
    const other = taskBatches(inductionHeads(), options);
    expect(() => other.restore(source.state())).toThrow(/belongs to other data/);
  });

  it('refuses lengths that the task does not have', () => {
    expect(() => taskBatches(selectiveCopying(), { ...options, lengths: [15] })).toThrow(/at least|from 16/);
    expect(() => taskBatches(inductionHeads(), { ...options, lengths: [] })).toThrow(/number of lengths/);
  });
});

describe('accuracy', () => {
  it('counts what a model gets right', async () => {
    const config = modelConfig({ layers: 1, dModel: 4, vocabSize: 16 }, { dState: 2, tiedHead: false });
    const source = initialParameters(config, { seed: 1 });
    // The largest weight of a head whose input is constant: every answer is token 5.
    const model = await createModel(backend, config, async (parameter) => {
      const host = await source(parameter);
      const data = new Float32Array(host.data.length);
      if (parameter.key === 'head') data.fill(1, 5 * 4, 6 * 4);
      if (parameter.key === 'embedding') data.fill(1);
      const replaced = ['head', 'embedding', 'block.outProj'].includes(parameter.key);
      return replaced ? { dtype: 'float32', shape: host.shape, data } : host;
    });
    const fixed: Task = {
      ...{ name: 'fixed', vocabSize: 16, least: 3 },
      draw: (_, length) => ({ ids: new Int32Array(length + 1), answers: Int32Array.of(5, 6, 5) }),
    };
    const before = backend.memory().tensors;
    // The longest is fed in chunks, and no two of its sequences at once.
    const results = await accuracy(model, fixed, { lengths: [3, 9000], sequences: 2 });
    expect(results).toEqual([
      { length: 3, answers: 6, right: 4 },
      { length: 9000, answers: 6, right: 4 },
    ]);
    expect(backend.memory().tensors).toBe(before);
    model.dispose();
  });
});
