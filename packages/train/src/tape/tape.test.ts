/** Gradients of compositions, compared with central differences in float64. */
import type { Backend, HostTensor, Tensor } from '@mamba/core';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dot, normals } from '../../test/backends.ts';
import { Random } from '../random.ts';
import { Tape } from './tape.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await reference().create();
});
afterAll(() => backend.dispose());

type Inputs = Readonly<Record<string, HostTensor & { readonly dtype: 'float64' }>>;
type Tensors = Readonly<Record<string, Tensor>>;

/** Uses every operation that has a rule, some tensors twice, some only in part, and results that nothing uses. */
function everything(on: Backend, { x, w, table, norm, bias, taps, A, D }: Tensors, { ids, targets }: Tensors): Tensor {
  const keep: Tensor[] = [];
  const own = (tensor: Tensor): Tensor => {
    keep.push(tensor);
    return tensor;
  };
  try {
    const rows = own(on.embedding(table!, ids!));
    const sum = own(on.add(own(on.multiply(x!, undefined, { scale: 0.5 })), rows));
    const normed = own(on.layerNorm(own(on.rmsNorm(sum, { weight: norm })), { weight: norm, bias }));
    const wide = own(on.linear(normed, w!));
    const left = own(on.slice(wide, 2, 0, 3));
    const right = own(on.slice(wide, 2, 4, 7));
    const conv = on.causalConv1d(left, taps!, undefined, { activation: 'silu' });
    keep.push(conv.y, conv.lastState);
    const decay = own(on.multiply(A!, undefined, { activation: 'exp', scale: -1 }));
    const scan = on.selectiveScan(conv.y, left, decay, own(on.slice(wide, 2, 1, 3)), own(on.slice(wide, 2, 5, 7)), {
      D,
      z: own(on.reshape(own(on.reshape(right, [8, 3])), [2, 4, 3])),
      deltaSoftplus: true,
    });
    keep.push(scan.y, scan.lastState);
    const both = own(on.concat([scan.y, own(on.multiply(left, right, { activation: 'gelu' }))], 2));
    const losses = own(on.crossEntropy(both, targets!, { labelSmoothing: 0.1 }));
    const scores = own(on.logProb(both, targets!));
    keep.push(on.argmax(both));
    return on.add(losses, scores);
  } finally {
    for (const tensor of keep) tensor.dispose();
  }
}

const random = new Random(5);
const INPUTS: Inputs = {
  x: normals(random, [2, 4, 5]),
  w: normals(random, [7, 5]),
  table: normals(random, [6, 5]),
  norm: normals(random, [5]),
  bias: normals(random, [5]),
  taps: normals(random, [3, 2]),
  A: normals(random, [3, 2], 0.3),
  D: normals(random, [3]),
};
const integers = (limit: number): HostTensor => ({
  dtype: 'int32',
  shape: [2, 4],
  data: Int32Array.from({ length: 8 }, () => random.integer(limit)),
});
const CONSTANTS = { ids: integers(6), targets: integers(6) };
const COTANGENT = normals(random, [2, 4]);

function upload(values: Readonly<Record<string, HostTensor>>): Tensors {
  return Object.fromEntries(Object.entries(values).map(([name, host]) => [name, backend.upload(host)]));
}

function dispose(...tensors: readonly Tensors[]): void {
  for (const group of tensors) for (const tensor of Object.values(group)) tensor.dispose();
}

async function loss(inputs: Inputs): Promise<number> {
  const [tensors, constants] = [upload(inputs), upload(CONSTANTS)];
  const y = everything(backend, tensors, constants);
  const value = await dot(backend, y, COTANGENT);
  y.dispose();
  dispose(tensors, constants);
  return value;
}

async function expectDifferences(name: string, gradient: ArrayLike<number>): Promise<void> {
  const host = INPUTS[name]!;
  for (const index of host.data.keys()) {
    const at = (by: number): Promise<number> =>
      loss({ ...INPUTS, [name]: { ...host, data: host.data.with(index, host.data[index]! + by) } });
    const difference = ((await at(1e-5)) - (await at(-1e-5))) / 2e-5;
    expect(gradient[index], `${name}[${index}]`).toBeCloseTo(difference, 6);
  }
}

describe.each([false, true])('a tape, checkpointing: %s', (checkpointing) => {
  it('has the gradients of all leaves, and frees everything', async () => {
    const before = backend.memory();
    const [leaves, constants] = [upload(INPUTS), upload(CONSTANTS)];
    const dy = backend.upload(COTANGENT);
    const { x, ...weights } = leaves;
    const tape = new Tape(backend, Object.values(leaves));
    const y = checkpointing
      ? tape.checkpoint([x!], (on, [given]) => [everything(on, { ...weights, x: given! }, constants)])[0]!
      : everything(tape.backend, leaves, constants);
    const gradients = tape.backward([[y, dy]]);
    y.dispose();
    for (const [name, leaf] of Object.entries(leaves)) {
      const gradient = gradients.get(leaf)!;
      expect(gradient.shape).toEqual(leaf.shape);
      await expectDifferences(name, await backend.read(gradient));
      gradient.dispose();
    }
    dispose(leaves, constants, { dy });
    expect(backend.memory()).toEqual(before);
  });

  it('computes what is wanted alone', async () => {
    const before = backend.memory();
    const [inputs, constants] = [upload(INPUTS), upload(CONSTANTS)];
    const dy = backend.upload(COTANGENT);
    const tape = new Tape(backend, [inputs.D!]);
    const { x, ...weights } = inputs;
    const y = checkpointing
      ? tape.checkpoint([x!], (on, [given]) => [everything(on, { ...weights, x: given! }, constants)])[0]!
      : everything(tape.backend, inputs, constants);
    const gradients = tape.backward([[y, dy]]);
    expect([...gradients.keys()]).toEqual([inputs.D]);
    const gradient = gradients.get(inputs.D!)!;
    await expectDifferences('D', await backend.read(gradient));
    dispose(inputs, constants, { dy, y, gradient });
    expect(backend.memory()).toEqual(before);
  });
});

it('a leaf that nothing depends on has no gradient, and one that is the result has the cotangent', async () => {
  const [a, b, dy] = [0, 1, 2].map(() => backend.upload(normals(random, [3]))) as [Tensor, Tensor, Tensor];
  const tape = new Tape(backend, [a, b]);
  const gradients = tape.backward([[a, dy]]);
  expect([...gradients.keys()]).toEqual([a]);
  expect(await backend.read(gradients.get(a)!)).toEqual(await backend.read(dy));
  dispose({ a, b, dy, gradient: gradients.get(a)! });
});

it('refuses a result of another backend, and tensors that were disposed', () => {
  const [a, dy] = [0, 1].map(() => backend.upload(normals(random, [3]))) as [Tensor, Tensor];
  const tape = new Tape(backend, []);
  expect(() => tape.backward([[a, dy]])).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  const sum = tape.backend.add(a, a);
  sum.dispose();
  expect(() => tape.backend.add(sum, a)).toThrow(expect.objectContaining({ code: 'disposed' }));
  dispose({ a, dy });
});

it('frees everything where an operation fails', () => {
  const before = backend.memory();
  const [leaves, constants] = [upload(INPUTS), upload(CONSTANTS)];
  const tape = new Tape(backend, Object.values(leaves));
  const y = everything(tape.backend, leaves, constants);
  const wrong = backend.upload(normals(random, [2, 3]));
  expect(() => tape.backward([[y, wrong]])).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  dispose(leaves, constants, { y, wrong });
  expect(backend.memory()).toEqual(before);
});

describe('states that a scan keeps', () => {
  /** The backend, with a scan that keeps a tensor where it is asked to, and a list of what its backward was given. */
  function keepingBackend(given: unknown[]): Backend {
    const replaced: Partial<Backend> = {
      selectiveScan: (u, delta, A, B, C, options) => {
        const results = backend.selectiveScan(u, delta, A, B, C, options);
        return options?.keepStates === true ? { ...results, states: backend.upload(normals(random, [7])) } : results;
      },
      selectiveScanBackward: (u, delta, A, B, C, options, cotangents, states) => {
        given.push(states?.disposed === false ? states.shape : states);
        return backend.selectiveScanBackward(u, delta, A, B, C, options, cotangents);
      },
    };
    return new Proxy(backend, {
      get(target, name) {
        const value = Reflect.get(name in replaced ? replaced : target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  it.each([
    ['go to its backward pass alone', undefined, false, [[7]]],
    ['are of the caller as well where it asks', true, false, [[7]]],
    ['are not kept by the first run of a checkpoint', undefined, true, [[7]]],
  ] as const)('%s', (_, keepStates, checkpointing, expected) => {
    const before = backend.memory();
    const shapes = [
      [1, 4, 3],
      [1, 4, 3],
      [3, 2],
      [1, 4, 2],
      [1, 4, 2],
      [1, 4, 3],
    ];
    const tensors = shapes.map((shape) => backend.upload(normals(random, shape)));
    const [u, delta, A, B, C, dy] = tensors as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];
    const given: unknown[] = [];
    const keeping = keepingBackend(given);
    let kept = 0;
    const run = (on: Backend) => {
      const { y, lastState, states } = on.selectiveScan(u, delta, A, B, C, { keepStates });
      if (states !== undefined) kept++;
      lastState.dispose();
      states?.dispose();
      return [y];
    };
    const tape = new Tape(keeping, [u]);
    const [y] = checkpointing ? tape.checkpoint([], run) : run(tape.backend);
    expect(kept).toBe(keepStates ? 1 : 0);
    const gradients = tape.backward([[y!, dy]]);
    expect(given).toEqual(expected);
    for (const tensor of [y!, ...gradients.values(), ...tensors]) tensor.dispose();
    expect(backend.memory()).toEqual(before);
  });

  it('leaves wrong options wrong, and keeps nothing where no gradient flows', () => {
    const given: unknown[] = [];
    const tensors = [
      [1, 4, 3],
      [1, 4, 3],
      [3, 2],
      [1, 4, 2],
      [1, 4, 2],
    ].map((shape) => backend.upload(normals(random, shape)));
    const [u, delta, A, B, C] = tensors as [Tensor, Tensor, Tensor, Tensor, Tensor];
    const tape = new Tape(keepingBackend(given), [u]);
    for (const options of [null, [], { keepStates: 1 }] as never[])
      expect(() => tape.backend.selectiveScan(u, delta, A, B, C, options)).toThrow(
        expect.objectContaining({ code: 'invalid-argument' }),
      );
    const other = new Tape(keepingBackend(given), []);
    const results = other.backend.selectiveScan(u, delta, A, B, C);
    expect(Object.keys(results)).toEqual(['y', 'lastState']);
    for (const tensor of [...tensors, ...Object.values(results)]) tensor.dispose();
    tape.dispose();
  });
});
