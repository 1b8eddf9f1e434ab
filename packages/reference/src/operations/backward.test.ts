/**
 * The backward passes of scan and convolution compared with central differences of the forward passes, for random
 * combinations of options.
 */
import type {
  Backend,
  CausalConv1dOptions,
  ConvActivation,
  Discretization,
  S4dDiscretization,
  S4dOptions,
  SelectiveScanOptions,
  Tensor,
} from '@mamba/core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkGradients, type Inputs, randomSource } from '../../test/differences.ts';
import { integers, tensor } from '../../test/values.ts';
import { reference } from '../index.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await reference().create();
});
afterAll(() => backend.dispose());

/** Reset marks at about a third of the steps, sometimes at the first one. */
function randomResets(seed: number, batch: number, length: number): Tensor {
  const marks = randomSource(seed)([batch, length], 0, 3).data.map((value) => Math.floor(value) % 3);
  return integers(
    backend,
    [batch, length],
    marks.map((mark) => (mark === 0 ? 1 : 0)),
  );
}

describe('selectiveScanBackward', () => {
  const variants = fc.record({
    seed: fc.integer(),
    batch: fc.integer({ min: 1, max: 2 }),
    length: fc.integer({ min: 1, max: 4 }),
    groups: fc.integer({ min: 1, max: 2 }),
    channelsPerGroup: fc.integer({ min: 1, max: 2 }),
    state: fc.integer({ min: 1, max: 3 }),
    discretization: fc.constantFrom<Discretization>('euler', 'zoh', 'bilinear'),
    B: fc.constantFrom('constant', 'selective'),
    C: fc.constantFrom('constant', 'selective'),
    withoutGroupAxis: fc.boolean(),
    D: fc.boolean(),
    z: fc.boolean(),
    deltaBias: fc.boolean(),
    deltaSoftplus: fc.boolean(),
    initialState: fc.boolean(),
    resets: fc.boolean(),
    dLastState: fc.boolean(),
  });

  it('agrees with central differences for every input', async () => {
    await fc.assert(
      fc.asyncProperty(variants, async (variant) => {
        const { seed, batch, length, state, discretization, deltaSoftplus } = variant;
        const groups = variant.withoutGroupAxis ? 1 : variant.groups;
        const dim = groups * variant.channelsPerGroup;
        const random = randomSource(seed);
        const steps = [batch, length, dim];
        const selective = variant.withoutGroupAxis ? [batch, length, state] : [batch, length, groups, state];
        const shapeOf = { constant: [dim, state], selective };
        const inputs: Inputs = {
          u: random(steps, -1, 1),
          delta: deltaSoftplus ? random(steps, -2, 2) : random(steps, 0.1, 1.5),
          // Values on both sides of the point where the derivative of the zoh input scale changes its formula.
          A: random([dim, state], -2, 0.01),
          B: random(shapeOf[variant.B as 'constant'], -1, 1),
          C: random(shapeOf[variant.C as 'constant'], -1, 1),
          ...(variant.D && { D: random([dim], -1, 1) }),
          ...(variant.z && { z: random(steps, -4, 4) }),
          ...(variant.deltaBias && { deltaBias: random([dim], -0.1, 0.5) }),
          ...(variant.initialState && { initialState: random([batch, dim, state], -1, 1) }),
        };
        const resets = variant.resets ? randomResets(seed, batch, length) : undefined;
        const options = ({ D, z, deltaBias, initialState }: Record<string, Tensor>): SelectiveScanOptions<Tensor> => ({
          D,
          z,
          deltaBias,
          initialState,
          resets,
          deltaSoftplus,
          discretization,
        });
        await checkGradients(
          backend,
          inputs,
          {
            y: random(steps, -1, 1),
            lastState: variant.dLastState ? random([batch, dim, state], -1, 1) : undefined,
          },
          (x) => ({ ...backend.selectiveScan(x.u!, x.delta!, x.A!, x.B!, x.C!, options(x)) }),
          (x, { y, lastState }) =>
            backend.selectiveScanBackward(x.u!, x.delta!, x.A!, x.B!, x.C!, options(x), { y: y!, lastState }),
        );
        resets?.dispose();
      }),
      { seed: 20231204, numRuns: 60 },
    );
  });

  it.each<Discretization>(['euler', 'zoh', 'bilinear'])(
    '%s: also where A is 0 or close to it',
    async (discretization) => {
      const random = randomSource(3);
      const inputs: Inputs = {
        u: random([1, 3, 1], -1, 1),
        delta: random([1, 3, 1], 0.1, 1.5),
        A: { shape: [1, 4], data: new Float64Array([0, -1e-9, -1e-4, 1e-7]) },
        B: random([1, 3, 4], -1, 1),
        C: random([1, 3, 4], -1, 1),
      };
      await checkGradients(
        backend,
        inputs,
        { y: random([1, 3, 1], -1, 1) },
        (x) => ({ ...backend.selectiveScan(x.u!, x.delta!, x.A!, x.B!, x.C!, { discretization }) }),
        (x, { y }) => backend.selectiveScanBackward(x.u!, x.delta!, x.A!, x.B!, x.C!, { discretization }, { y: y! }),
      );
    },
  );

  it('passes the gradient through softplus as it is above the threshold', async () => {
    const gradientAt = async (delta: number, deltaSoftplus: boolean): Promise<number> => {
      const one = (...shape: number[]) => tensor(backend, shape, [1]);
      const gradients = backend.selectiveScanBackward(
        one(1, 1, 1),
        tensor(backend, [1, 1, 1], [delta]),
        one(1, 1),
        one(1, 1, 1),
        one(1, 1, 1),
        { deltaSoftplus },
        { y: one(1, 1, 1) },
      );
      return (await backend.read(gradients.delta))[0]!;
    };
    expect(await gradientAt(20.5, true)).toBe(await gradientAt(20.5, false));
    expect(await gradientAt(19.5, true)).toBe(1 / (1 + Math.exp(-19.5)));
    expect(await gradientAt(-800, true)).toBe(0);
  });
});

describe('s4dBackward', () => {
  const variants = fc.record({
    seed: fc.integer(),
    batch: fc.integer({ min: 1, max: 2 }),
    length: fc.integer({ min: 1, max: 4 }),
    dim: fc.integer({ min: 1, max: 2 }),
    state: fc.integer({ min: 1, max: 3 }),
    discretization: fc.constantFrom<S4dDiscretization>('zoh', 'bilinear'),
    complex: fc.boolean(),
    B: fc.boolean(),
    D: fc.boolean(),
    initialState: fc.boolean(),
    resets: fc.boolean(),
    dLastState: fc.boolean(),
  });

  it('agrees with central differences for every input', async () => {
    await fc.assert(
      fc.asyncProperty(variants, async (variant) => {
        const { seed, batch, length, dim, state, discretization, complex } = variant;
        const random = randomSource(seed);
        const system = complex ? [2, dim, state] : [dim, state];
        const states = complex ? [batch, 2, dim, state] : [batch, dim, state];
        const inputs: Inputs = {
          u: random([batch, length, dim], -1, 1),
          dt: random([dim], 0.1, 1.5),
          // Values on both sides of the point where φ changes its formula.
          A: random(system, -2, 0.01),
          C: random(system, -1, 1),
          ...(variant.B && { B: random(system, -1, 1) }),
          ...(variant.D && { D: random([dim], -1, 1) }),
          ...(variant.initialState && { initialState: random(states, -1, 1) }),
        };
        const resets = variant.resets ? randomResets(seed, batch, length) : undefined;
        const options = ({ B, D, initialState }: Record<string, Tensor>): S4dOptions<Tensor> => ({
          ...{ B, D, initialState, resets, discretization },
        });
        await checkGradients(
          backend,
          inputs,
          { y: random([batch, length, dim], -1, 1), lastState: variant.dLastState ? random(states, -1, 1) : undefined },
          (t) => ({ ...backend.s4d(t.u!, t.dt!, t.A!, t.C!, options(t)) }),
          (t, { y, lastState }) => backend.s4dBackward(t.u!, t.dt!, t.A!, t.C!, options(t), { y: y!, lastState }),
        );
        resets?.dispose();
      }),
      { numRuns: 60, seed: 3 },
    );
  });
});

describe('causalConv1dBackward', () => {
  const variants = fc.record({
    seed: fc.integer(),
    batch: fc.integer({ min: 1, max: 2 }),
    length: fc.integer({ min: 1, max: 6 }),
    dim: fc.integer({ min: 1, max: 3 }),
    width: fc.integer({ min: 2, max: 5 }),
    activation: fc.constantFrom<ConvActivation>('none', 'silu'),
    bias: fc.boolean(),
    initialState: fc.boolean(),
    resets: fc.boolean(),
    dLastState: fc.boolean(),
  });

  it('agrees with central differences for every input', async () => {
    await fc.assert(
      fc.asyncProperty(variants, async (variant) => {
        const { seed, batch, length, dim, width, activation } = variant;
        const random = randomSource(seed);
        const inputs: Inputs = {
          x: random([batch, length, dim], -2, 2),
          weight: random([dim, width], -1, 1),
          ...(variant.bias && { bias: random([dim], -1, 1) }),
          ...(variant.initialState && { initialState: random([batch, dim, width - 1], -2, 2) }),
        };
        const resets = variant.resets ? randomResets(seed, batch, length) : undefined;
        const options = ({ initialState }: Record<string, Tensor>): CausalConv1dOptions<Tensor> => ({
          activation,
          initialState,
          resets,
        });
        await checkGradients(
          backend,
          inputs,
          {
            y: random([batch, length, dim], -1, 1),
            lastState: variant.dLastState ? random([batch, dim, width - 1], -1, 1) : undefined,
          },
          (x) => ({ ...backend.causalConv1d(x.x!, x.weight!, x.bias, options(x)) }),
          (x, { y, lastState }) =>
            backend.causalConv1dBackward(x.x!, x.weight!, x.bias, options(x), { y: y!, lastState }),
        );
        resets?.dispose();
      }),
      { seed: 20231204, numRuns: 100 },
    );
  });
});
