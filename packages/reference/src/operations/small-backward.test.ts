/** The backward passes of the small operations compared with central differences; losses, norms and AdamW by hand. */
import type { Activation, Backend, Tensor } from '@mamba/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkGradients, type Inputs, randomSource } from '../../test/differences.ts';
import { integers, tensor } from '../../test/values.ts';
import { reference } from '../index.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await reference().create();
});
afterAll(() => backend.dispose());

const random = randomSource(7);

it.each([true, false])('linear, with a bias: %s', async (biased) => {
  await checkGradients(
    backend,
    { x: random([2, 3, 4], -1, 1), weight: random([5, 4], -1, 1), ...(biased && { bias: random([5], -1, 1) }) },
    { y: random([2, 3, 5], -1, 1) },
    (t) => ({ y: backend.linear(t.x!, t.weight!, t.bias) }),
    (t, { y }) => backend.linearBackward(t.x!, t.weight!, t.bias, y!),
  );
});

it('linear computes the wanted gradients alone', async () => {
  const [x, weight, bias] = [
    tensor(backend, [1, 2], [3, 4]),
    tensor(backend, [1, 2], [5, 6]),
    tensor(backend, [1], [7]),
  ];
  const dy = tensor(backend, [1, 1], [2]);
  const gradients = backend.linearBackward(x, weight, bias, dy, { wanted: ['weight'] });
  expect(Object.keys(gradients)).toEqual(['weight']);
  expect([...(await backend.read(gradients.weight!))]).toEqual([6, 8]);
  for (const held of [x, weight, bias, dy, gradients.weight!]) held.dispose();
});

it.each([true, false])('rmsNorm, with a weight: %s', async (weighted) => {
  await checkGradients(
    backend,
    { x: random([3, 5], -2, 2), ...(weighted && { weight: random([5], -1, 1) }) },
    { y: random([3, 5], -1, 1) },
    ({ x, weight }) => ({ y: backend.rmsNorm(x!, { weight, eps: 0.1 }) }),
    ({ x, weight }, { y }) => backend.rmsNormBackward(x!, { weight, eps: 0.1 }, y!),
  );
});

it.each([
  [true, true],
  [true, false],
  [false, true],
  [false, false],
])('layerNorm, with a weight: %s, with a bias: %s', async (weighted, biased) => {
  const inputs: Inputs = {
    x: random([3, 5], -2, 2),
    ...(weighted && { weight: random([5], -1, 1) }),
    ...(biased && { bias: random([5], -1, 1) }),
  };
  await checkGradients(
    backend,
    inputs,
    { y: random([3, 5], -1, 1) },
    ({ x, weight, bias }) => ({ y: backend.layerNorm(x!, { weight, bias, eps: 0.1 }) }),
    ({ x, weight, bias }, { y }) => backend.layerNormBackward(x!, { weight, bias, eps: 0.1 }, y!),
  );
});

it('embedding: ids that repeat add up, and an id below 0 has no gradient', async () => {
  const ids = integers(backend, [2, 3], [1, 0, 1, 3, 1, 1]);
  await checkGradients(
    backend,
    { table: random([4, 3], -1, 1) },
    { y: random([2, 3, 3], -1, 1) },
    ({ table }) => ({ y: backend.embedding(table!, ids) }),
    ({ table }, { y }) => ({ table: backend.embeddingBackward(table!, ids, y!) }),
  );
  ids.dispose();
  // The -1 of a checked choice, which no upload can pass off as an id.
  const nothing = tensor(backend, [1, 2], [Number.NaN, 0]);
  const none = backend.argmax(nothing, { checked: true });
  const [table, dy] = [tensor(backend, [2, 1], [1, 1]), tensor(backend, [1, 1], [5])];
  const gradient = backend.embeddingBackward(table, none, dy);
  expect([...(await backend.read(gradient))]).toEqual([0, 0]);
  for (const held of [nothing, none, table, dy, gradient]) held.dispose();
});

describe.each<Activation>([
  'none',
  'silu',
  'gelu',
  'gelu-tanh',
  'relu2',
  'exp',
  'sigmoid',
  'tanh',
  'elu-plus-one',
  'reciprocal',
])('multiply, %s', (activation) => {
  // 1 / x bends too much near 0.
  const least = activation === 'reciprocal' ? 0.5 : -4;
  it.each([true, false])('with a second factor: %s', async (product) => {
    const options = { activation, scale: -1.5 };
    await checkGradients(
      backend,
      { a: random([2, 9], least, 3), ...(product && { b: random([2, 9], -2, 2) }) },
      { y: random([2, 9], -1, 1) },
      ({ a, b }) => ({ y: backend.multiply(a!, b, options) }),
      ({ a, b }, { y }) => backend.multiplyBackward(a!, b, options, y!),
    );
  });
});

it('logProb', async () => {
  const ids = integers(backend, [2, 2], [0, 3, 2, 2]);
  await checkGradients(
    backend,
    { logits: random([2, 2, 4], -3, 3) },
    { y: random([2, 2], -1, 1) },
    ({ logits }) => ({ y: backend.logProb(logits!, ids) }),
    ({ logits }, { y }) => ({ logits: backend.logProbBackward(logits!, ids, y!) }),
  );
  ids.dispose();
});

describe.each([0, 0.2, 1])('crossEntropy, smoothed by %s', (labelSmoothing) => {
  it('has the gradient of its loss, and none where rows are ignored', async () => {
    const targets = integers(backend, [2, 2], [0, -100, 2, -1]);
    await checkGradients(
      backend,
      { logits: random([2, 2, 4], -3, 3) },
      { y: random([2, 2], -1, 1) },
      ({ logits }) => ({ y: backend.crossEntropy(logits!, targets, { labelSmoothing }) }),
      ({ logits }, { y }) => ({ logits: backend.crossEntropyBackward(logits!, targets, { labelSmoothing }, y!) }),
    );
    targets.dispose();
  });
});

it('crossEntropy without smoothing is the negative of logProb, beside infinite logits too', async () => {
  const logits = tensor(backend, [2, 3], [1, 2, Number.NEGATIVE_INFINITY, 90, -90, 0]);
  const ids = integers(backend, [2], [1, 1]);
  const [losses, logProbs] = [backend.crossEntropy(logits, ids), backend.logProb(logits, ids)];
  expect(await backend.read(losses)).toEqual((await backend.read(logProbs)).map((value) => -value));
  for (const held of [logits, ids, losses, logProbs]) held.dispose();
});

describe('adamw', () => {
  const state = () => ({
    parameter: tensor(backend, [2], [1, -2]),
    gradient: tensor(backend, [2], [3, 4]),
    first: tensor(backend, [2], [0, 0]),
    second: tensor(backend, [2], [0, 0]),
  });
  const values = async (...tensors: Tensor[]) => Promise.all(tensors.map(async (t) => [...(await backend.read(t))]));

  it('moves by the learning rate at first, after the decay', async () => {
    const { parameter, gradient, first, second } = state();
    backend.adamw(parameter, gradient, { first, second }, { learningRate: 0.1, step: 1, weightDecay: 0.5, eps: 0 });
    const [p, m, v] = await values(parameter, first, second);
    expect(p![0]).toBeCloseTo(1 * 0.95 - 0.1, 12);
    expect(p![1]).toBeCloseTo(-2 * 0.95 - 0.1, 12);
    expect(m![0]).toBeCloseTo(0.3, 12);
    expect(v![1]).toBeCloseTo(0.016, 12);
    for (const held of [parameter, gradient, first, second]) held.dispose();
  });

  it('clips by the norm, and writes nothing where the norm is not finite', async () => {
    const { parameter, gradient, first, second } = state();
    const norm = backend.gradientNorm([gradient]);
    expect((await values(norm))[0]).toEqual([5]);
    const options = { learningRate: 0.1, step: 1, maxNorm: 1 };
    backend.adamw(parameter, gradient, { first, second }, { ...options, norm });
    expect((await values(first))[0]![0]).toBeCloseTo((0.1 * 3) / 5.000001, 12);
    const before = await values(parameter, first, second);
    const broken = tensor(backend, [1], [Number.NaN]);
    backend.adamw(parameter, gradient, { first, second }, { ...options, norm: broken });
    expect(await values(parameter, first, second)).toEqual(before);
    for (const held of [parameter, gradient, first, second, norm, broken]) held.dispose();
  });
});
