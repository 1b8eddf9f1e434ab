import { type Backend, modelConfig } from '@mamba/core';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { initialParameters } from './initialise.ts';
import { lossAndGradients } from './loss.ts';
import { TrainableModel } from './trainable.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await reference().create();
});
afterAll(() => backend.dispose());

/** The backend with an operation that fails at its n-th call. */
function failing(operation: 'crossEntropy' | 'crossEntropyBackward' | 'selectiveScanBackward', at: number): Backend {
  let calls = 0;
  return new Proxy(backend, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      if (name !== operation) return value.bind(target);
      return (...args: readonly unknown[]) => {
        if (++calls === at) throw new Error('planted');
        return value.apply(target, args);
      };
    },
  });
}

it.each([
  ['crossEntropy', 3],
  ['crossEntropyBackward', 3],
  ['selectiveScanBackward', 1],
] as const)('leaves nothing on the device where %s fails', async (operation, at) => {
  const config = modelConfig({ layers: 2, dModel: 6, vocabSize: 9 });
  const model = await TrainableModel.create(failing(operation, at), config, initialParameters(config, { seed: 1 }));
  const before = backend.memory();
  const ids = Int32Array.from({ length: 14 }, (_, index) => index % 9);
  // Pieces of three positions: the third one fails, in the first row of the batch.
  expect(() => lossAndGradients(model, { batch: 2, length: 7, ids, targets: ids }, { logits: 27 })).toThrow('planted');
  expect(backend.memory()).toEqual(before);
  model.dispose();
});
