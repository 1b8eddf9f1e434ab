import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFolder, openFile, openSafetensors } from '@mamba/checkpoint';
import { type Backend, createModel, type ParameterSource } from '@mamba/core';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everyValue, TINY } from '../../test/helpers.ts';
import { initialParameters } from '../model/initialise.ts';
import { lossAndGradients } from '../model/loss.ts';
import { TrainableModel } from '../model/trainable.ts';
import { openTraining } from '../save/read.ts';
import { RunFolder } from '../save/run-folder.ts';
import { inductionHeads } from '../tasks/induction-heads.ts';
import { taskBatches } from '../tasks/task.ts';
import { Trainer } from '../trainer/trainer.ts';
import type { LoraOptions } from './lora.ts';
import { saveAdapter } from './peft.ts';

let backend: Backend;
let folder: string;
beforeAll(async () => {
  backend = await reference().create();
  folder = await mkdtemp(join(tmpdir(), 'mamba-train-'));
});
afterAll(async () => {
  await backend.dispose();
  await rm(folder, { recursive: true });
});

const LORA: LoraOptions = { rank: 2, alpha: 3, targets: ['inProj', 'layers.1.block.outProj'] };
const ADAPTED = ['layers.0.block.inProj', 'layers.1.block.inProj', 'layers.1.block.outProj'];
const BASE: ParameterSource = initialParameters(TINY, { seed: 1 });
const create = (lora: LoraOptions = LORA) => TrainableModel.create(backend, TINY, BASE, { lora });
const data = () => taskBatches(inductionHeads(), { batch: 2, lengths: [6], seed: 3 });
const trainerOf = (model: TrainableModel) => new Trainer(model, data(), { steps: 6, peak: 2e-2 });

async function valuesOf(model: TrainableModel, name: string): Promise<readonly number[]> {
  return [...(await model.source()({ ...model.parameter(name) })).data];
}

it('has no parameter of an unknown name, and says which it has', async () => {
  const model = await create();
  expect(() => model.parameter('layers.0.none')).toThrow(
    expect.objectContaining({ code: 'invalid-argument', message: expect.stringContaining(model.parameters[0]!.name) }),
  );
  model.dispose();
});

describe('a model with adapters', () => {
  it('begins as its base, trains the adapters alone, and is merged where it is read', async () => {
    const before = backend.memory().tensors;
    const model = await create();
    expect([...model.adapters.keys()]).toEqual(ADAPTED);
    const inProj = await valuesOf(model, ADAPTED[0]!);
    expect(inProj).toEqual([...(await BASE(model.parameter(ADAPTED[0]!))).data]);
    const trainer = trainerOf(model);
    const start = await everyValue(trainer);
    await trainer.run({ until: 3 });
    const end = await everyValue(trainer);
    for (const { name } of model.parameters) {
      const changed = !end.get(name)!.every((value, index) => value === start.get(name)![index]);
      expect([name, changed]).toEqual([name, /lora[AB]$/.test(name)]);
    }
    const merged = await valuesOf(model, ADAPTED[0]!);
    const [a, b] = ['loraA', 'loraB'].map((factor) => end.get(`${ADAPTED[0]}.${factor}`)!);
    for (const [index, value] of merged.entries()) {
      const [row, column] = [Math.floor(index / 4), index % 4];
      const product = b![2 * row]! * a![2 * column]! + b![2 * row + 1]! * a![2 * column + 1]!;
      expect(value).toBeCloseTo(inProj[index]! + 1.5 * product, 12);
    }
    trainer.dispose();
    model.dispose();
    expect(backend.memory().tensors).toBe(before);
  });

  it('has the gradients of central differences, with and without checkpointing', async () => {
    const model = await create();
    const trainer = trainerOf(model);
    await trainer.run({ until: 2 });
    const batch = await data().next();
    const name = `${ADAPTED[0]}.loraA`;
    const lossOf = async (values: Float64Array): Promise<number> => {
      const moved = await TrainableModel.create(backend, TINY, BASE, {
        lora: LORA,
        exact: async (wanted) => {
          const { tensor, shape } = model.parameter(wanted);
          const own = (await backend.read(tensor)) as Float64Array;
          return { dtype: 'float64', shape, data: wanted === name ? values : own };
        },
      });
      const { losses, gradients, state } = lossAndGradients(moved, batch);
      const mean = await losses.mean();
      for (const owned of [losses, state, moved, ...gradients.values()]) owned.dispose();
      return mean;
    };
    const values = (await backend.read(model.parameter(name).tensor)) as Float64Array;
    for (const checkpointing of [false, true]) {
      const { losses, gradients, state } = lossAndGradients(model, batch, { checkpointing });
      const gradient = await backend.read(gradients.get(name)!);
      expect([...gradients.keys()].every((key) => /lora[AB]$/.test(key))).toBe(true);
      for (const index of [0, 5]) {
        const [up, down] = [1e-5, -1e-5].map((step) => values.with(index, values[index]! + step));
        const difference = ((await lossOf(up!)) - (await lossOf(down!))) / 2e-5;
        expect(difference).not.toBe(0);
        expect(gradient[index]).toBeCloseTo(difference, 8);
      }
      for (const owned of [losses, state, ...gradients.values()]) owned.dispose();
    }
    trainer.dispose();
    model.dispose();
  });

  it('goes on from a save with the same bits, which is a merged model', async () => {
    const model = await create();
    const trainer = trainerOf(model);
    const run = new RunFolder(join(folder, 'run'));
    await trainer.run({ until: 3 });
    await run.save(trainer);
    const saved = await openTraining(run.pathOf(3));
    const { config, source } = saved;
    const again = await TrainableModel.create(backend, config, source, { exact: saved.exact, lora: LORA });
    const second = trainerOf(again);
    await saved.restore(second);
    const loaded = await createModel(backend, config, source);
    const own = await model.model();
    const [expected, given] = [own, loaded].map((each) => each.forward([[1, 2, 3]]).logits!);
    const logits = await backend.read(given!);
    for (const [index, logit] of (await backend.read(expected!)).entries()) expect(logits[index]).toBeCloseTo(logit, 5);
    for (const each of [trainer, second]) await each.run();
    expect(await everyValue(second)).toEqual(await everyValue(trainer));
    await saved.close();
    for (const owned of [trainer, second, model, again, loaded, own]) owned.dispose();
  });

  it("is saved in peft's layout, whose product is what was added", async () => {
    const model = await create();
    const trainer = trainerOf(model);
    await trainer.run({ until: 2 });
    await saveAdapter(await createFolder(join(folder, 'adapter')), model, 'base');
    const config = JSON.parse(await readFile(join(folder, 'adapter', 'adapter_config.json'), 'utf8'));
    expect(config).toMatchObject({ peft_type: 'LORA', r: 2, lora_alpha: 3, base_model_name_or_path: 'base' });
    expect(config.target_modules[2]).toBe('backbone.layers.1.mixer.out_proj');
    const file = await openSafetensors(await openFile(join(folder, 'adapter', 'adapter_model.safetensors')));
    const prefix = 'base_model.model.backbone.layers.1.mixer.out_proj';
    const [A, B] = [await file.read(`${prefix}.lora_A.weight`), await file.read(`${prefix}.lora_B.weight`)];
    expect([A.shape, B.shape]).toEqual([
      [2, 8],
      [4, 2],
    ]);
    const base = (await BASE(model.parameter(ADAPTED[2]!))).data;
    for (const [index, value] of (await valuesOf(model, ADAPTED[2]!)).entries()) {
      const [row, column] = [Math.floor(index / 8), index % 8];
      const product = B.data[2 * row]! * A.data[column]! + B.data[2 * row + 1]! * A.data[8 + column]!;
      expect(value).toBeCloseTo(base[index]! + 1.5 * product, 6);
    }
    await file.close();
    trainer.dispose();
    model.dispose();
  });

  it('refuses what it cannot adapt', async () => {
    await expect(create({ rank: 0 })).rejects.toThrow(/lora.rank/);
    await expect(create({ rank: 1, targets: ['embedding'] })).rejects.toThrow(/"embedding", expected names .*inProj, /);
    await expect(create({ rank: 1, alpha: -1 })).rejects.toThrow(/lora.alpha/);
    const plain = await TrainableModel.create(backend, TINY, BASE);
    const target = createFolder(join(folder, 'none'));
    await expect(saveAdapter(await target, plain, 'base')).rejects.toThrow(/a model without adapters/);
    plain.dispose();
  });
});
