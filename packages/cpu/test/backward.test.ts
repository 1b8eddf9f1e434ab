/**
 * Gradients at the edges of blocks, chunks and ranges of channels, against differences of the float64 loops written out
 * here.
 */
import type { Backend, Discretization, Tensor } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { float32, int32, relativeError, uniform, worstOf } from './host.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await cpu().create();
});
afterAll(async () => {
  expect(backend.memory()).toMatchObject({ tensors: 0, bytes: 0 });
  await backend.dispose();
});

type Values = Record<string, Float64Array>;
type Shapes = Record<string, readonly number[]>;

/** Draws float32 values of each shape, in the range that `ranges` names or within ±1. */
function draw(shapes: Shapes, ranges: Record<string, readonly [number, number]> = {}): Values {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape], index) => {
      const [low, high] = ranges[name] ?? [-1, 1];
      return [
        name,
        Float64Array.from(
          uniform(
            shape.reduce((a, b) => a * b, 1),
            index + 1,
            low,
            high,
          ),
        ),
      ];
    }),
  );
}

/** Uploads the values, calls, reads the results by name, and disposes all. */
async function gradients(
  shapes: Shapes,
  values: Values,
  call: (tensors: Record<string, Tensor>) => object,
): Promise<Record<string, ArrayLike<number>>> {
  const tensors: Record<string, Tensor> = {};
  for (const [name, shape] of Object.entries(shapes))
    tensors[name] =
      name === 'resets' ? int32(backend, shape, [...values[name]!]) : float32(backend, shape, [...values[name]!]);
  const results = Object.entries(call(tensors) as Record<string, Tensor | undefined>).flatMap(([name, tensor]) =>
    tensor === undefined ? [] : [[name, tensor] as const],
  );
  const read: Record<string, ArrayLike<number>> = {};
  for (const [name, tensor] of results) read[name] = await backend.read(tensor);
  for (const tensor of [...Object.values(tensors), ...results.map(([, tensor]) => tensor)]) tensor.dispose();
  return read;
}

/** Compares a few gradients of each input with differences of the loss; errors are relative to the largest value. */
function expectDerivatives(
  given: Record<string, ArrayLike<number>>,
  values: Values,
  loss: (values: Values) => number,
): void {
  for (const [name, gradient] of Object.entries(given)) {
    const variable = values[name]!;
    expect(gradient).toHaveLength(variable.length);
    const scale = Array.from(gradient).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (let turn = 0; turn < 5; turn++) {
      const index = Math.floor((turn * variable.length) / 5);
      const value = variable[index]!;
      const [above, below] = [1e-5, -1e-5].map((change) => {
        variable[index] = value + change;
        return loss(values);
      });
      variable[index] = value;
      const error = Math.abs(gradient[index]! - (above! - below!) / 2e-5);
      expect(error, `${name}[${index}]`).toBeLessThanOrEqual(2e-5 * scale);
    }
  }
}

interface Scan {
  readonly length: number;
  readonly dim: number;
  readonly state: number;
  readonly groups?: number;
  readonly discretization?: Discretization;
  readonly resets?: readonly number[];
  readonly A?: readonly [number, number];
}

/** The sum of all outputs of a scan with every option, each times its cotangent. */
function scanLoss({ length, dim, state, groups = 1, discretization }: Scan, values: Values): number {
  const { u, delta, A, B, C, D, z, deltaBias, initialState, resets, dy, dLastState } = values;
  const h = initialState!.slice();
  let loss = 0;
  for (let t = 0; t < length; t++) {
    if (resets?.[t]) h.fill(0);
    for (let channel = 0; channel < dim; channel++) {
      const group = Math.floor(channel / (dim / groups));
      const i = t * dim + channel;
      const d = Math.log1p(Math.exp(delta![i]! + deltaBias![channel]!));
      let y = D![channel]! * u![i]!;
      for (let n = 0; n < state; n++) {
        const at = channel * state + n;
        const a = A![at]!;
        const half = (d * a) / 2;
        const decay = discretization === 'bilinear' ? (1 + half) / (1 - half) : Math.exp(d * a);
        const scale = { euler: d, zoh: Math.expm1(d * a) / a, bilinear: d / (1 - half) }[discretization ?? 'euler'];
        h[at] = decay * h[at]! + scale * B![(t * groups + group) * state + n]! * u![i]!;
        y += h[at]! * C![(t * groups + group) * state + n]!;
      }
      loss += (dy![i]! * y * z![i]!) / (1 + Math.exp(-z![i]!));
    }
  }
  return loss + h.reduce((sum, value, at) => sum + value * dLastState![at]!, 0);
}

test.each<Scan>([
  { length: 1, dim: 1, state: 1 },
  { length: 39, dim: 5, state: 2 },
  { length: 40, dim: 9, state: 3 },
  { length: 41, dim: 8, state: 16 },
  { length: 80, dim: 4, state: 17 },
  { length: 90, dim: 12, state: 1, resets: [40] },
  { length: 150, dim: 17, state: 4, resets: [0, 39, 40, 41, 79, 149] },
  { length: 70, dim: 70, state: 2 },
  { length: 66, dim: 18, state: 3, groups: 2, resets: [10] },
  { length: 70, dim: 5, state: 3, A: [-300, -100] },
  { length: 70, dim: 5, state: 3, A: [-1e-6, -1e-9] },
  { length: 130, dim: 9, state: 3, A: [-0.1, 0.05], resets: [100] },
  { length: 70, dim: 9, state: 3, discretization: 'zoh', resets: [40] },
  { length: 70, dim: 9, state: 3, discretization: 'zoh', A: [-1e-3, 0.05] },
  { length: 70, dim: 9, state: 3, discretization: 'bilinear', resets: [40] },
])('selectiveScanBackward %o', async (scan) => {
  const { length, dim, state, groups = 1, discretization, resets, A = [-8, -0.01] } = scan;
  const shapes = {
    u: [1, length, dim],
    delta: [1, length, dim],
    A: [dim, state],
    B: [1, length, groups, state],
    C: [1, length, groups, state],
    D: [dim],
    z: [1, length, dim],
    deltaBias: [dim],
    initialState: [1, dim, state],
    dy: [1, length, dim],
    dLastState: [1, dim, state],
    ...(resets && { resets: [1, length] }),
  };
  const values = draw(shapes, { A, delta: [-5, 0], z: [-3, 3] });
  if (resets) for (let t = 0; t < length; t++) values.resets![t] = resets.includes(t) ? 1 : 0;
  const backward = (tensors: Record<string, Tensor>, keepStates: boolean) => {
    const { u, delta, A, B, C, dy, dLastState } = tensors;
    const options = { ...scanOptions(tensors), deltaSoftplus: true, discretization, keepStates };
    const results = backend.selectiveScan(u!, delta!, A!, B!, C!, options);
    expect(results.states?.shape).toEqual(keepStates ? [1, Math.ceil(length / 40), dim, state] : undefined);
    const cotangents = { y: dy!, lastState: dLastState };
    const all = backend.selectiveScanBackward(u!, delta!, A!, B!, C!, options, cotangents, results.states);
    return { ...all, 'forward.y': results.y, 'forward.lastState': results.lastState, 'forward.states': results.states };
  };
  const {
    'forward.y': y,
    'forward.lastState': last,
    ...given
  } = await gradients(shapes, values, (t) => backward(t, false));
  expectDerivatives(given, values, (changed) => scanLoss(scan, changed));
  const { 'forward.states': states, ...kept } = await gradients(shapes, values, (t) => backward(t, true));
  expect(kept).toEqual({ ...given, 'forward.y': y, 'forward.lastState': last });
  // Of every 40 steps, the first in row order is the initial state.
  expect(Array.from(states!).slice(0, dim * state)).toEqual([...values.initialState!]);
});

function scanOptions({ D, z, deltaBias, initialState, resets }: Record<string, Tensor>) {
  return { D, z, deltaBias, initialState, resets };
}

/** Every 8th channel overflows in step 20; its gradients are not finite, and the others' are as without it. */
test('a state that overflows leaves the gradients of other channels of its block alone', async () => {
  const [length, dim, state] = [100, 16, 4];
  const shapes = {
    u: [1, length, dim],
    delta: [1, length, dim],
    A: [dim, state],
    B: [1, length, state],
    C: [1, length, state],
    dy: [1, length, dim],
  };
  const values = draw(shapes, { delta: [0.01, 0.5], A: [-2, -0.1], B: [0.5, 1], C: [0.5, 1], dy: [0.5, 1] });
  const call = (tensors: Record<string, Tensor>) =>
    backend.selectiveScanBackward(
      tensors.u!,
      tensors.delta!,
      tensors.A!,
      tensors.B!,
      tensors.C!,
      {},
      { y: tensors.dy! },
    );
  const expected = await gradients(shapes, values, call);
  for (const channel of [0, 8]) values.u![20 * dim + channel] = Number.POSITIVE_INFINITY;
  const given = await gradients(shapes, values, call);
  for (let at = 0; at < dim * state; at++) {
    const channel = Math.floor(at / state);
    if (channel % 8 === 0) expect(given.A![at]).not.toSatisfy(Number.isFinite);
    else expect(Math.abs(given.A![at]! - expected.A![at]!)).toBeLessThan(1e-5 * Math.abs(expected.A![at]!));
  }
});

/** The sum of all outputs of a convolution with bias and SiLU, each times its cotangent. */
function convLoss(length: number, dim: number, width: number, values: Values): number {
  const { x, weight, bias, initialState, resets, dy, dLastState } = values;
  let loss = 0;
  for (let channel = 0; channel < dim; channel++) {
    let begin = Number.NEGATIVE_INFINITY;
    const at = (t: number): number => {
      if (t < begin) return 0;
      return t >= 0 ? x![t * dim + channel]! : initialState![channel * (width - 1) + width - 1 + t]!;
    };
    for (let t = 0; t < length; t++) {
      if (resets![t]) begin = t;
      let s = bias![channel]!;
      for (let k = 0; k < width; k++) s += weight![channel * width + k]! * at(t - (width - 1) + k);
      loss += (dy![t * dim + channel]! * s) / (1 + Math.exp(-s));
    }
    for (let k = 0; k < width - 1; k++) loss += dLastState![channel * (width - 1) + k]! * at(length - (width - 1) + k);
  }
  return loss;
}

test.each([
  { length: 1, dim: 1, width: 2, resets: [] },
  { length: 2, dim: 5, width: 4, resets: [] },
  { length: 3, dim: 8, width: 4, resets: [1] },
  { length: 5, dim: 13, width: 7, resets: [0, 4] },
  { length: 40, dim: 33, width: 4, resets: [11, 13, 38] },
  { length: 40, dim: 530, width: 3, resets: [] },
])('causalConv1dBackward %o', async ({ length, dim, width, resets }) => {
  const shapes = {
    x: [1, length, dim],
    weight: [dim, width],
    bias: [dim],
    initialState: [1, dim, width - 1],
    resets: [1, length],
    dy: [1, length, dim],
    dLastState: [1, dim, width - 1],
  };
  const values = draw(shapes, { x: [-3, 3] });
  for (let t = 0; t < length; t++) values.resets![t] = (resets as readonly number[]).includes(t) ? 1 : 0;
  const given = await gradients(shapes, values, ({ x, weight, bias, initialState, resets, dy, dLastState }) =>
    backend.causalConv1dBackward(
      x!,
      weight!,
      bias,
      { activation: 'silu', initialState, resets },
      { y: dy!, lastState: dLastState },
    ),
  );
  expectDerivatives(given, values, (changed) => convLoss(length, dim, width, changed));
});

interface Product {
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
}

/** Sizes around tiles, panels, and the depths that are summed at once. */
const PRODUCTS: readonly Product[] = [
  { rows: 1, inputs: 1, outputs: 1 },
  { rows: 5, inputs: 17, outputs: 31 },
  { rows: 13, inputs: 40, outputs: 33 },
  { rows: 270, inputs: 16, outputs: 6 },
  { rows: 7, inputs: 33, outputs: 1540 },
  { rows: 1545, inputs: 15, outputs: 7 },
];

test.each(PRODUCTS)('linearBackward %o, of a matrix in rows and in panels', async ({ rows, inputs, outputs }) => {
  const [left, matrix, cotangent] = [
    uniform(rows * inputs, 1),
    uniform(outputs * inputs, 2),
    uniform(rows * outputs, 3),
  ];
  const expected = {
    x: new Float64Array(rows * inputs),
    weight: new Float64Array(outputs * inputs),
    bias: new Float64Array(outputs),
  };
  for (let r = 0; r < rows; r++) {
    for (let o = 0; o < outputs; o++) {
      const dy = cotangent[r * outputs + o]!;
      expected.bias[o]! += dy;
      for (let i = 0; i < inputs; i++) {
        expected.x[r * inputs + i]! += dy * matrix[o * inputs + i]!;
        expected.weight[o * inputs + i]! += dy * left[r * inputs + i]!;
      }
    }
  }
  const [x, bias, dy] = [
    float32(backend, [rows, inputs], left),
    float32(backend, [outputs], uniform(outputs, 4)),
    float32(backend, [rows, outputs], cotangent),
  ];
  for (const role of [undefined, 'matrix'] as const) {
    const weight = backend.upload({ dtype: 'float32', shape: [outputs, inputs], data: matrix }, { role });
    const given = backend.linearBackward(x, weight, bias, dy);
    for (const name of ['x', 'weight', 'bias'] as const) {
      expect(relativeError(await backend.read(given[name]!), expected[name])).toBeLessThan(3e-6);
      given[name]!.dispose();
    }
    weight.dispose();
  }
  for (const tensor of [x, bias, dy]) tensor.dispose();
});

test.each(['float16', 'bfloat16', 'q8', 'q4'] as const)('the gradient of x beside a matrix in %s', async (dtype) => {
  for (const [rows, inputs, outputs] of [
    [3, 50, 35],
    [20, 33, 20],
    [2, 16, 1600],
  ] as const) {
    const data = uniform(outputs * inputs, 1);
    const weight = backend.upload({ dtype: 'float32', shape: [outputs, inputs], data }, { dtype, role: 'matrix' });
    const stored = await backend.read(weight);
    const rounded = float32(backend, [outputs, inputs], Float32Array.from(stored));
    const x = float32(backend, [rows, inputs], uniform(rows * inputs, 2));
    const dy = float32(backend, [rows, outputs], uniform(rows * outputs, 3));
    const [given, expected] = [weight, rounded].map(
      (matrix) => backend.linearBackward(x, matrix, undefined, dy, { wanted: ['x'] }).x!,
    );
    expect(await backend.read(given!)).toEqual(await backend.read(expected!));
    for (const tensor of [weight, rounded, x, dy, given!, expected!]) tensor.dispose();
  }
});

test.each([
  [1, 1],
  [17, 5],
  [33, 50],
  [3, 8197],
])('adamw of a matrix in panels, %i × %i, is that of one in rows', async (rows, columns) => {
  const size = rows * columns;
  const host = { dtype: 'float32', shape: [rows, columns], data: uniform(size, 1) } as const;
  const gradient = float32(backend, [rows, columns], uniform(size, 2));
  const results: ArrayLike<number>[][] = [];
  for (const role of [undefined, 'matrix'] as const) {
    const parameter = backend.upload(host, { role });
    const [first, second] = [3, 4].map((seed) => float32(backend, [rows, columns], uniform(size, seed, 0, 0.1)));
    backend.adamw(
      parameter,
      gradient,
      { first: first!, second: second! },
      { learningRate: 0.1, step: 3, weightDecay: 0.2 },
    );
    results.push(await Promise.all([parameter, first!, second!].map((tensor) => backend.read(tensor))));
    for (const tensor of [parameter, first!, second!]) tensor.dispose();
  }
  expect(results[1]).toEqual(results[0]);
  expect(results[0]![0]).not.toEqual(host.data);
  gradient.dispose();
});

test('the gradient of a loss that is nearly 0 keeps its precision', async () => {
  const logits = float32(backend, [2, 3], [0, 20, 3, 25, 1, 2]);
  const targets = int32(backend, [2], [1, 0]);
  const dy = float32(backend, [2], [1, 1]);
  const gradient = backend.crossEntropyBackward(logits, targets, {}, dy);
  const p = (others: readonly number[]) => others.map((power) => power / (1 + others[0]! + others[1]!));
  const [first, second] = [p([Math.exp(-20), Math.exp(-17)]), p([Math.exp(-24), Math.exp(-23)])];
  const expected = [
    ...[first[0]!, -(first[0]! + first[1]!), first[1]!],
    ...[-(second[0]! + second[1]!), second[0]!, second[1]!],
  ];
  expect(worstOf(await backend.read(gradient), (index) => expected[index]!)).toBeLessThan(1e-6);
  for (const tensor of [logits, targets, dy, gradient]) tensor.dispose();
});
