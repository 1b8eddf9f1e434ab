/**
 * The checks of every operation: calls that pass, the specs of their results, and calls that are refused, with the
 * origin of the error and without running anything.
 */
import { describe, expect, it } from 'vitest';
import { failure } from '../../test/fake-driver.ts';
import type { SampleOptions, SelectiveScanOptions } from '../contract/operations.ts';
import type { DType, IntegerRange, TensorSpec } from '../contract/tensor.ts';
import { resolveAdd } from './add.ts';
import { resolveArgmax } from './argmax.ts';
import { resolveArgsort } from './argsort.ts';
import { resolveCausalConv1d, resolveCausalConv1dBackward } from './causal-conv1d.ts';
import { resolveConcat } from './concat.ts';
import { resolveEmbedding } from './embedding.ts';
import { resolveLayerNorm } from './layer-norm.ts';
import { resolveLinear } from './linear.ts';
import { resolveLogProb } from './log-prob.ts';
import { resolveMultiply } from './multiply.ts';
import { resolveReshape } from './reshape.ts';
import { resolveRmsNorm } from './rms-norm.ts';
import { resolveS4d, resolveS4dBackward } from './s4d.ts';
import { resolveSample } from './sample.ts';
import { resolveSelectiveScan, resolveSelectiveScanBackward } from './selective-scan.ts';
import { resolveSlice } from './slice.ts';

/** A float32 tensor of this shape. */
const f = (...shape: number[]): TensorSpec => ({ shape, dtype: 'float32' });
const typed = (dtype: DType, ...shape: number[]): TensorSpec => ({ shape, dtype });
const ints = (shape: number[], range?: IntegerRange): TensorSpec => ({ shape, dtype: 'int32', range });
const none = undefined as never;

/** [what is wrong, the call, the origin that the error names] */
type Refusal = [string, () => unknown, string];
function refuses(cases: readonly Refusal[]): void {
  it.each(cases)('refuses %s', (_, call, origin) => expect(call).toThrow(failure('invalid-argument', origin)));
}

describe('selectiveScan', () => {
  // batch 2, length 5, dim 6, state 3, groups 2
  const good = { u: f(2, 5, 6), delta: f(2, 5, 6), A: f(6, 3), B: f(2, 5, 2, 3), C: f(2, 5, 2, 3) };
  const scan = (changes: Partial<typeof good> = {}, options: SelectiveScanOptions<TensorSpec> | undefined = {}) => {
    const { u, delta, A, B, C } = { ...good, ...changes };
    return resolveSelectiveScan(u, delta, A, B, C, options);
  };

  it('names the extents and fills the defaults in', () => {
    const { call, outputs } = resolveSelectiveScan(good.u, good.delta, good.A, good.B, good.C);
    expect(call).toMatchObject({
      ...{ batch: 2, length: 5, dim: 6, state: 3, groups: 2, constantB: false, constantC: false },
      ...{ deltaSoftplus: false, discretization: 'euler', D: undefined, z: undefined, resets: undefined },
    });
    expect(outputs).toEqual({ y: f(2, 5, 6), lastState: f(2, 6, 3) });
  });

  it.each([
    ['one group without its axis', { B: f(2, 5, 3), C: f(2, 5, 3) }, { groups: 1, constantB: false, constantC: false }],
    ['one group with and without', { B: f(2, 5, 1, 3), C: f(2, 5, 3) }, { groups: 1 }],
    ['constant B', { B: f(6, 3) }, { groups: 2, constantB: true, constantC: false }],
    ['constant C', { C: f(6, 3) }, { groups: 2, constantB: false, constantC: true }],
    ['both constant', { B: f(6, 3), C: f(6, 3) }, { groups: 1, constantB: true, constantC: true }],
    ['a group a channel', { B: f(2, 5, 6, 3), C: f(2, 5, 6, 3) }, { groups: 6 }],
  ])('takes %s', (_, changes, expected) => expect(scan(changes).call).toMatchObject(expected));

  it('keeps parameters and state in float32 where activations are stored in halves', () => {
    const h = (...shape: number[]) => typed('float16', ...shape);
    const { outputs } = resolveSelectiveScan(h(1, 2, 3), h(1, 2, 3), f(3, 4), h(1, 2, 4), f(3, 4), {
      D: f(3),
      z: h(1, 2, 3),
      initialState: f(1, 3, 4),
    });
    expect(outputs).toEqual({ y: h(1, 2, 3), lastState: f(1, 3, 4) });
  });

  refuses([
    ['u of rank 2', () => scan({ u: f(5, 6) }), 'selectiveScan.u'],
    ['no u', () => scan({ u: none }), 'selectiveScan.u'],
    ['u of integers', () => scan({ u: ints([2, 5, 6]) }), 'selectiveScan.u'],
    ['u in bfloat16', () => scan({ u: typed('bfloat16', 2, 5, 6) }), 'selectiveScan.u'],
    ['delta of another length', () => scan({ delta: f(2, 4, 6) }), 'selectiveScan.delta'],
    ['delta of another dtype', () => scan({ delta: typed('float64', 2, 5, 6) }), 'selectiveScan.delta'],
    ['A of another dim', () => scan({ A: f(5, 3) }), 'selectiveScan.A'],
    ['A of rank 1', () => scan({ A: f(6) }), 'selectiveScan.A'],
    ['B of rank 1', () => scan({ B: f(6) }), 'selectiveScan.B'],
    ['B of rank 5', () => scan({ B: f(1, 2, 5, 2, 3) }), 'selectiveScan.B'],
    ['no B', () => scan({ B: none }), 'selectiveScan.B'],
    ['B of another state', () => scan({ B: f(2, 5, 2, 4) }), 'selectiveScan.B'],
    ['constant B laid out the other way', () => scan({ B: f(3, 6) }), 'selectiveScan.B'],
    ['groups that do not divide dim', () => scan({ B: f(2, 5, 4, 3), C: f(2, 5, 4, 3) }), 'selectiveScan.B'],
    ['B and C of unequal groups', () => scan({ C: f(2, 5, 3, 3) }), 'selectiveScan.C'],
    ['C of another batch', () => scan({ C: f(1, 5, 2, 3) }), 'selectiveScan.C'],
    ['D of another dim', () => scan({}, { D: f(5) }), 'selectiveScan.D'],
    ['D as a scalar', () => scan({}, { D: f() }), 'selectiveScan.D'],
    ['deltaBias by state', () => scan({}, { deltaBias: f(6, 3) }), 'selectiveScan.deltaBias'],
    ['z of another length', () => scan({}, { z: f(2, 6, 6) }), 'selectiveScan.z'],
    ['a state of another batch', () => scan({}, { initialState: f(1, 6, 3) }), 'selectiveScan.initialState'],
    ['a state transposed', () => scan({}, { initialState: f(2, 3, 6) }), 'selectiveScan.initialState'],
    ['resets in floats', () => scan({}, { resets: f(2, 5) }), 'selectiveScan.resets'],
    ['resets a channel', () => scan({}, { resets: ints([2, 5, 6]) }), 'selectiveScan.resets'],
    ['a number for keepStates', () => scan({}, { keepStates: 1 as never }), 'selectiveScan.keepStates'],
    ['softplus as a number', () => scan({}, { deltaSoftplus: 1 as never }), 'selectiveScan.deltaSoftplus'],
    ['an unknown discretisation', () => scan({}, { discretization: 'foh' as never }), 'selectiveScan.discretization'],
    ['an unknown option', () => scan({}, { softplus: true } as object), 'selectiveScan.softplus'],
    ['null for options', () => scan({}, null as never), 'selectiveScan'],
    ['a list for options', () => scan({}, [] as object), 'selectiveScan'],
  ]);

  describe('backward', () => {
    const backward = (options: SelectiveScanOptions<TensorSpec>, cotangents: object) =>
      resolveSelectiveScanBackward(good.u, good.delta, good.A, good.B, good.C, options, cotangents as never);

    it('gives a gradient for each input that is there, shaped as it', () => {
      expect(backward({}, { y: good.u }).outputs).toEqual(good);
      const options = { D: f(6), z: f(2, 5, 6), deltaBias: f(6), initialState: f(2, 6, 3) };
      const { outputs, call } = backward({ ...options, resets: ints([2, 5]) }, { y: good.u, lastState: f(2, 6, 3) });
      expect(outputs).toEqual({ ...good, ...options });
      expect(call).toMatchObject({ dy: good.u, dLastState: f(2, 6, 3) });
    });

    const origin = 'selectiveScanBackward';
    refuses([
      ['no cotangents', () => backward({}, none), `${origin}.cotangents`],
      ['no cotangent of y', () => backward({}, {}), `${origin}.cotangents.y`],
      ['one of another shape', () => backward({}, { y: f(2, 5, 5) }), `${origin}.cotangents.y`],
      ['one of another dtype', () => backward({}, { y: typed('float64', 2, 5, 6) }), `${origin}.cotangents.y`],
      ['a bad last state', () => backward({}, { y: good.u, lastState: f(2, 6) }), `${origin}.cotangents.lastState`],
      ['an unknown cotangent', () => backward({}, { y: good.u, state: f(2, 6, 3) }), `${origin}.cotangents.state`],
      ['what forward refuses', () => backward({ D: f(1) }, { y: good.u }), `${origin}.D`],
    ]);

    describe('from kept states', () => {
      const everySecond = { keptSteps: 2, states: f(2, 3, 6, 3) };
      const { u, delta, A, B, C } = good;
      const given = (states: TensorSpec, steps: number | undefined) =>
        resolveSelectiveScanBackward(u, delta, A, B, C, {}, { y: u }, states, () => steps).call;

      it('takes those that the forward call returns', () => {
        const { call, outputs } = resolveSelectiveScan(u, delta, A, B, C, { keepStates: true }, () => 2);
        expect({ keptSteps: call.keptSteps, states: outputs.states }).toEqual(everySecond);
        expect(given(outputs.states!, 2)).toMatchObject(everySecond);
        for (const steps of [2, undefined]) {
          const none = resolveSelectiveScan(u, delta, A, B, C, { keepStates: steps === undefined }, () => steps);
          expect(none.call.keptSteps).toBeUndefined();
          expect(none.outputs).not.toHaveProperty('states');
        }
      });

      refuses([
        ['of other steps', () => given(f(2, 2, 6, 3), 2), `${origin}.states`],
        ['of another dtype', () => given(typed('float64', 2, 3, 6, 3), 2), `${origin}.states`],
        ['where there are none', () => given(f(2, 3, 6, 3), undefined), `${origin}.states`],
      ]);
    });
  });
});

describe('causalConv1d', () => {
  const x = f(2, 5, 6);
  it('takes any width from 2', () => {
    const { call, outputs } = resolveCausalConv1d(x, f(6, 9), f(6), { initialState: f(2, 6, 8), resets: ints([2, 5]) });
    expect(call).toMatchObject({ batch: 2, length: 5, dim: 6, width: 9, activation: 'none' });
    expect(outputs).toEqual({ y: x, lastState: f(2, 6, 8) });
  });

  const conv = (weight: TensorSpec, bias?: TensorSpec, options?: object) => () =>
    resolveCausalConv1d(x, weight, bias, options);
  refuses([
    ['x of rank 2', () => resolveCausalConv1d(f(5, 6), f(6, 4), undefined), 'causalConv1d.x'],
    ['a width of 1', conv(f(6, 1)), 'causalConv1d.weight'],
    ['a weight with its singleton axis', conv(f(6, 1, 4)), 'causalConv1d.weight'],
    ['a weight of another dim', conv(f(5, 4)), 'causalConv1d.weight'],
    ['a weight in halves', conv(typed('float16', 6, 4)), 'causalConv1d.weight'],
    ['a bias of another dim', conv(f(6, 4), f(4)), 'causalConv1d.bias'],
    ['a state of width columns', conv(f(6, 4), undefined, { initialState: f(2, 6, 4) }), 'causalConv1d.initialState'],
    ['resets of another length', conv(f(6, 4), undefined, { resets: ints([2, 4]) }), 'causalConv1d.resets'],
    ['an unknown activation', conv(f(6, 4), undefined, { activation: 'gelu' }), 'causalConv1d.activation'],
    ['an unknown option', conv(f(6, 4), undefined, { silu: true }), 'causalConv1d.silu'],
  ]);

  it('backward: a gradient for each input that is there', () => {
    const { outputs } = resolveCausalConv1dBackward(x, f(6, 4), undefined, {}, { y: x });
    expect(outputs).toEqual({ x, weight: f(6, 4) });
    const options = { initialState: f(2, 6, 3) };
    expect(resolveCausalConv1dBackward(x, f(6, 4), f(6), options, { y: x }).outputs).toEqual({
      ...{ x, weight: f(6, 4), bias: f(6) },
      ...options,
    });
    expect(() => resolveCausalConv1dBackward(x, f(6, 4), undefined, {}, { y: f(2, 5) })).toThrow(
      failure('invalid-argument', 'causalConv1dBackward.cotangents.y'),
    );
  });
});

describe('linear', () => {
  it('flattens the leading axes, and takes weights in any stored dtype', () => {
    for (const dtype of ['float32', 'float16', 'bfloat16', 'q8', 'q4'] as const) {
      const { call, outputs } = resolveLinear(f(2, 3, 64), typed(dtype, 5, 64), f(5));
      expect(call).toMatchObject({ rows: 6, inputs: 64, outputs: 5 });
      expect(outputs).toEqual(f(2, 3, 5));
    }
    expect(resolveLinear(f(4), f(2, 4), undefined).outputs).toEqual(f(2));
  });
  refuses([
    ['a scalar', () => resolveLinear(f(), f(5, 4), undefined), 'linear.x'],
    ['no x', () => resolveLinear(none, f(5, 4), undefined), 'linear.x'],
    ['a weight laid out the other way', () => resolveLinear(f(3, 4), f(4, 5), undefined), 'linear.weight'],
    ['a weight of rank 1', () => resolveLinear(f(3, 4), f(4), undefined), 'linear.weight'],
    ['a weight in float64', () => resolveLinear(f(3, 4), typed('float64', 5, 4), undefined), 'linear.weight'],
    ['a bias by inputs', () => resolveLinear(f(3, 4), f(5, 4), f(4)), 'linear.bias'],
  ]);
});

describe('rmsNorm', () => {
  it('goes over the last axis', () => {
    expect(resolveRmsNorm(f(2, 3, 4)).call).toMatchObject({ rows: 6, channels: 4, eps: 1e-5, weight: undefined });
  });
  refuses([
    ['a weight of another size', () => resolveRmsNorm(f(2, 4), { weight: f(2) }), 'rmsNorm.weight'],
    ['a negative eps', () => resolveRmsNorm(f(4), { eps: -1e-5 }), 'rmsNorm.eps'],
    ['NaN for eps', () => resolveRmsNorm(f(4), { eps: Number.NaN }), 'rmsNorm.eps'],
    ['an unknown option', () => resolveRmsNorm(f(4), { epsilon: 1e-6 } as object), 'rmsNorm.epsilon'],
    ['integers', () => resolveRmsNorm(ints([4])), 'rmsNorm.x'],
  ]);
});

describe('layerNorm', () => {
  it('goes over the last axis', () => {
    const call = { rows: 6, channels: 4, eps: 1e-5, weight: undefined, bias: undefined };
    expect(resolveLayerNorm(f(2, 3, 4))).toEqual({ call: { x: f(2, 3, 4), ...call }, outputs: f(2, 3, 4) });
    expect(resolveLayerNorm(f(4), { weight: f(4), bias: f(4), eps: 0 }).call).toMatchObject({ rows: 1, eps: 0 });
  });
  it('keeps parameters in float32 where activations are stored in halves', () => {
    const x = typed('float16', 2, 4);
    expect(resolveLayerNorm(x, { weight: f(4), bias: f(4) }).outputs).toEqual(x);
  });
  refuses([
    ['a scalar', () => resolveLayerNorm(f()), 'layerNorm.x'],
    ['a weight of another size', () => resolveLayerNorm(f(2, 4), { weight: f(2) }), 'layerNorm.weight'],
    ['a bias of the shape of x', () => resolveLayerNorm(f(2, 4), { bias: f(2, 4) }), 'layerNorm.bias'],
    ['a bias in halves', () => resolveLayerNorm(f(2, 4), { bias: typed('float16', 4) }), 'layerNorm.bias'],
    ['a negative eps', () => resolveLayerNorm(f(4), { eps: -1e-5 }), 'layerNorm.eps'],
    ['NaN for eps', () => resolveLayerNorm(f(4), { eps: Number.NaN }), 'layerNorm.eps'],
    ['an unknown option', () => resolveLayerNorm(f(4), { epsilon: 1e-6 } as object), 'layerNorm.epsilon'],
    ['integers', () => resolveLayerNorm(ints([4])), 'layerNorm.x'],
  ]);
});

describe('embedding', () => {
  it('appends the channels, in the precision of the backend', () => {
    const ids = ints([2, 3], { min: 0, max: 9 });
    const { call, outputs } = resolveEmbedding(typed('q8', 10, 32), ids, 'float32');
    expect(call).toMatchObject({ count: 6, rows: 10, channels: 32 });
    expect(outputs).toEqual(f(2, 3, 32));
  });
  const table = f(10, 4);
  refuses([
    ['an id too large', () => resolveEmbedding(table, ints([1], { min: 0, max: 10 }), 'float32'), 'embedding.ids'],
    ['a negative id', () => resolveEmbedding(table, ints([1], { min: -1, max: 0 }), 'float32'), 'embedding.ids'],
    ['ids in floats', () => resolveEmbedding(table, f(3), 'float32'), 'embedding.ids'],
    ['no ids', () => resolveEmbedding(table, none, 'float32'), 'embedding.ids'],
    ['a table of rank 3', () => resolveEmbedding(f(1, 10, 4), ints([1]), 'float32'), 'embedding.table'],
    ['a table of integers', () => resolveEmbedding(ints([10, 4]), ints([1]), 'float32'), 'embedding.table'],
  ]);
});

describe('add', () => {
  it('takes equal shapes', () => expect(resolveAdd(f(2, 3), f(2, 3)).call.size).toBe(6));
  refuses([
    ['what would need broadcasting', () => resolveAdd(f(2, 3), f(3)), 'add.b'],
    ['unequal dtypes', () => resolveAdd(f(2), typed('float64', 2)), 'add.b'],
    ['integers', () => resolveAdd(ints([2]), ints([2])), 'add.a'],
    ['nothing', () => resolveAdd(f(2), none), 'add.b'],
  ]);
});

describe('multiply', () => {
  it('takes equal shapes, or one factor', () => {
    const call = { a: f(2, 3), b: f(2, 3), activation: 'none', scale: 1, size: 6 };
    expect(resolveMultiply(f(2, 3), f(2, 3))).toEqual({ call, outputs: f(2, 3) });
    const options = { activation: 'gelu-tanh', scale: -2 } as const;
    expect(resolveMultiply(f(2, 3), undefined, options).call).toEqual({ ...call, b: undefined, ...options });
  });
  refuses([
    ['what would need broadcasting', () => resolveMultiply(f(2, 3), f(3)), 'multiply.b'],
    ['unequal dtypes', () => resolveMultiply(f(2), typed('float64', 2)), 'multiply.b'],
    ['integers', () => resolveMultiply(ints([2]), ints([2])), 'multiply.a'],
    ['null for the second factor', () => resolveMultiply(f(2), null as never), 'multiply.b'],
    ['nothing', () => resolveMultiply(none), 'multiply.a'],
    [
      'an unknown activation',
      () => resolveMultiply(f(2), f(2), { activation: 'relu' as never }),
      'multiply.activation',
    ],
    ['an infinite scale', () => resolveMultiply(f(2), f(2), { scale: Number.POSITIVE_INFINITY }), 'multiply.scale'],
    ['NaN for scale', () => resolveMultiply(f(2), f(2), { scale: Number.NaN }), 'multiply.scale'],
    ['a scale beyond float32', () => resolveMultiply(f(2), f(2), { scale: 1e39 }), 'multiply.scale'],
    ['an unknown option', () => resolveMultiply(f(2), f(2), { alpha: 2 } as object), 'multiply.alpha'],
    ['options in the place of the second factor', () => resolveMultiply(f(2), { scale: 2 } as never), 'multiply.b'],
  ]);
});

describe('slice', () => {
  it('sees x as [outer, extent, inner]', () => {
    const { call, outputs } = resolveSlice(ints([2, 3, 4, 5], { min: 1, max: 2 }), 2, 1, 3);
    expect(call).toMatchObject({ outer: 6, extent: 4, inner: 5, start: 1, end: 3 });
    expect(outputs).toEqual(ints([2, 3, 2, 5], { min: 1, max: 2 }));
  });
  refuses([
    ['an axis too many', () => resolveSlice(f(2, 3), 2, 0, 1), 'slice.axis'],
    ['a negative axis', () => resolveSlice(f(2, 3), -1, 0, 1), 'slice.axis'],
    ['a negative start', () => resolveSlice(f(2, 3), 1, -1, 1), 'slice.start'],
    ['an empty range', () => resolveSlice(f(2, 3), 1, 1, 1), 'slice.end'],
    ['an end beyond', () => resolveSlice(f(2, 3), 1, 0, 4), 'slice.end'],
    ['a fraction', () => resolveSlice(f(2, 3), 1, 0.5, 2), 'slice.start'],
    ['blocks of 4 bits', () => resolveSlice(typed('q4', 2, 32), 0, 0, 1), 'slice.x'],
  ]);
});

describe('s4d', () => {
  const run = (change: Record<string, TensorSpec>, options: object = {}) => {
    const { u, dt, A, C } = { u: f(2, 5, 4), dt: f(4), A: f(2, 4, 3), C: f(2, 4, 3), ...change };
    return resolveS4d(u!, dt!, A!, C!, options);
  };
  it('takes complex and real systems', () => {
    const complex = run({}, { initialState: f(2, 2, 4, 3), D: f(4) });
    expect(complex.call).toMatchObject({ complex: true, batch: 2, length: 5, dim: 4, state: 3, discretization: 'zoh' });
    expect(complex.outputs).toEqual({ y: f(2, 5, 4), lastState: f(2, 2, 4, 3) });
    const real = run({ A: f(4, 3), C: f(4, 3) }, { B: f(4, 3), discretization: 'bilinear' });
    expect(real.call).toMatchObject({ complex: false, state: 3 });
    expect(real.outputs.lastState).toEqual(f(2, 4, 3));
  });
  it('gives gradients of what is given', () => {
    const { outputs } = resolveS4dBackward(f(2, 5, 4), f(4), f(4, 3), f(4, 3), { D: f(4) }, { y: f(2, 5, 4) });
    expect(Object.keys(outputs)).toEqual(['u', 'dt', 'A', 'C', 'D']);
  });
  refuses([
    ['an input without length', () => run({ u: f(2, 4) }), 's4d.u'],
    ['three planes', () => run({ A: f(3, 4, 3), C: f(3, 4, 3) }), 's4d.A'],
    ['a real C of a complex A', () => run({ C: f(4, 3) }), 's4d.C'],
    ['other states of B', () => run({}, { B: f(2, 4, 2) }), 's4d.B'],
    ['a step a token', () => run({ dt: f(2, 5, 4) }), 's4d.dt'],
    ['a state without planes', () => run({}, { initialState: f(2, 4, 3) }), 's4d.initialState'],
    ['marks of another length', () => run({}, { resets: ints([2, 4]) }), 's4d.resets'],
    ['the rule of Euler', () => run({}, { discretization: 'euler' }), 's4d.discretization'],
    ['an unknown option', () => run({}, { z: f(2, 5, 4) }), 's4d.z'],
    ['doubles', () => run({ dt: typed('float64', 4) }), 's4d.dt'],
  ]);
});

describe('argsort', () => {
  it('gives indices of rows', () => {
    const { call, outputs } = resolveArgsort(ints([2, 3, 5]));
    expect(call).toMatchObject({ rows: 6, length: 5 });
    expect(outputs).toEqual(ints([2, 3, 5], { min: 0, max: 4 }));
  });
  refuses([['floats', () => resolveArgsort(f(3)), 'argsort.keys']]);
});

describe('reshape', () => {
  it('is a slice of all values with another shape', () => {
    const { call, outputs } = resolveReshape(ints([2, 3, 4], { min: 1, max: 2 }), [6, 4]);
    expect(call).toMatchObject({ axis: 0, start: 0, end: 2, outer: 1, extent: 2, inner: 12 });
    expect(outputs).toEqual(ints([6, 4], { min: 1, max: 2 }));
  });
  refuses([
    ['another number of values', () => resolveReshape(f(2, 3), [2, 2]), 'reshape.shape'],
    ['an extent of 0', () => resolveReshape(f(2, 3), [0, 6]), 'reshape.shape'],
    ['no extents', () => resolveReshape(f(1), []), 'reshape.shape'],
    ['blocks of 4 bits', () => resolveReshape(typed('q4', 2, 32), [64]), 'reshape.x'],
  ]);
});

describe('concat', () => {
  it('adds the extents up, and joins what is known of ids', () => {
    const parts = [ints([2, 3], { min: 0, max: 4 }), ints([2, 1], { min: -2, max: 1 })];
    const { call, outputs } = resolveConcat(parts, 1);
    expect(call).toMatchObject({ extents: [3, 1], outer: 2, inner: 1 });
    expect(outputs).toEqual(ints([2, 4], { min: -2, max: 4 }));
    expect(resolveConcat([ints([1], { min: 0, max: 1 }), ints([1])], 0).outputs.range).toBeUndefined();
  });
  refuses([
    ['nothing', () => resolveConcat([], 0), 'concat.tensors'],
    ['one tensor for a list', () => resolveConcat(f(2) as never, 0), 'concat.tensors'],
    ['other extents that differ', () => resolveConcat([f(2, 3), f(3, 3)], 1), 'concat.tensors[1]'],
    ['unequal ranks', () => resolveConcat([f(2, 3), f(2)], 1), 'concat.tensors[1]'],
    ['unequal dtypes', () => resolveConcat([f(2), ints([2])], 0), 'concat.tensors[1]'],
    ['a hole', () => resolveConcat([f(2), none], 0), 'concat.tensors[1]'],
    ['an axis too many', () => resolveConcat([f(2)], 1), 'concat.axis'],
  ]);
});

describe('argmax', () => {
  it('gives ids of the vocabulary', () => {
    expect(resolveArgmax(f(2, 3, 7)).outputs).toEqual(ints([2, 3], { min: 0, max: 6 }));
    expect(resolveArgmax(f(7)).call).toMatchObject({ rows: 1, vocab: 7 });
  });
  refuses([
    ['a scalar', () => resolveArgmax(f()), 'argmax.logits'],
    ['integers', () => resolveArgmax(ints([7])), 'argmax.logits'],
    ['an unknown option', () => resolveArgmax(f(7), { strict: true } as object), 'argmax.strict'],
    ['a check that is neither on nor off', () => resolveArgmax(f(7), { checked: 1 } as never), 'argmax.checked'],
  ]);
});

describe('sample', () => {
  it('fills the defaults in, with topK no larger than the vocabulary', () => {
    const { call, outputs } = resolveSample(f(2, 7), f(2));
    expect(call).toMatchObject({ rows: 2, vocab: 7, temperature: 1, topK: 7, topP: 1, minP: 0 });
    expect(outputs).toEqual(ints([2], { min: 0, max: 6 }));
  });
  const sample =
    (options: SampleOptions, uniform = f(2)) =>
    () =>
      resolveSample(f(2, 7), uniform, options);
  refuses([
    ['a number a token', sample({}, f(2, 7)), 'sample.uniform'],
    ['integers for random numbers', sample({}, ints([2])), 'sample.uniform'],
    ['a negative temperature', sample({ temperature: -1 }), 'sample.temperature'],
    ['an infinite temperature', sample({ temperature: Number.POSITIVE_INFINITY }), 'sample.temperature'],
    ['NaN', sample({ temperature: Number.NaN }), 'sample.temperature'],
    ['a topK of 0', sample({ topK: 0 }), 'sample.topK'],
    ['a topP above 1', sample({ topP: 1.01 }), 'sample.topP'],
    ['a negative minP', sample({ minP: -0.1 }), 'sample.minP'],
    ['an unknown option', sample({ top_k: 3 } as object), 'sample.top_k'],
    ['a check that is neither on nor off', sample({ checked: 'yes' } as object), 'sample.checked'],
  ]);
});

describe('logProb', () => {
  it('gives one number a row', () => {
    expect(resolveLogProb(f(2, 3, 7), ints([2, 3], { min: 0, max: 6 })).outputs).toEqual(f(2, 3));
  });
  refuses([
    ['ids of another shape', () => resolveLogProb(f(2, 3, 7), ints([2])), 'logProb.ids'],
    ['ids outside the vocabulary', () => resolveLogProb(f(2, 7), ints([2], { min: 0, max: 7 })), 'logProb.ids'],
    ['ids in floats', () => resolveLogProb(f(2, 7), f(2)), 'logProb.ids'],
  ]);
});
