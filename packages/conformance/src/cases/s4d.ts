import type { HostTensor, S4dDiscretization, Shape } from '@mamba/core';
import { Random } from '../random.ts';
import { type Inputs, type Named, type OperationCase, operationCase, type Tolerance } from './case.ts';
import { floats, normals, resetMarks } from './host.ts';

/** Sizes and options of a case of `s4d` and of its gradients: u `[batch, length, dim]`. */
export interface S4dCaseOptions {
  readonly batch: number;
  readonly length: number;
  readonly dim: number;
  readonly state: number;
  /** Whether the system is complex. Default true. */
  readonly complex?: boolean | undefined;
  /** Default `zoh`. */
  readonly discretization?: S4dDiscretization | undefined;
  /** Default false, as in S4D's block. */
  readonly B?: boolean | undefined;
  /** Default true. */
  readonly D?: boolean | undefined;
  readonly initialState?: boolean | undefined;
  readonly resets?: boolean | undefined;
  /** Multiplies the steps, which lie between 0.001 and 0.1. Default 1. */
  readonly steps?: number | undefined;
  /** Multiplies the real parts of A, which are near -1/2, or -1, -2, … for a real system. Default 1. */
  readonly decay?: number | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
  readonly tolerance?: Tolerance | undefined;
  /** Changes the inputs after they were made, for example to insert a NaN. */
  readonly edit?: ((inputs: Record<string, HostTensor>) => void) | undefined;
}

const S4D: Tolerance = {
  relative: 1e-5,
  reason:
    'float32 states: a rounding of 6e-8 a step and state for as long as the state remembers, and sums over states',
};

const S4D_BACKWARD: Tolerance = {
  relative: 5e-5,
  reason: 'the adjoint runs a second recurrence over the rounded first, and gradients of the system sum over all steps',
};

/** A scan of S4D with seeded inputs: S4D-Lin of arXiv 2206.11893, or S4D-Real. */
export function s4dCase(options: S4dCaseOptions): OperationCase<'s4d'> {
  const resolved = resolve(options, S4D);
  return operationCase({
    operation: 's4d',
    optional: true,
    id: `s4d/${resolved.id}`,
    seed: resolved.seed,
    sizes: sizes(resolved),
    tolerance: resolved.tolerance,
    build: () => build(resolved),
    arguments: (tensors) => scanArguments(resolved, tensors),
  });
}

/** The gradients of all inputs of a scan of S4D. */
export function s4dBackwardCase(options: S4dCaseOptions): OperationCase<'s4dBackward'> {
  const resolved = resolve(options, S4D_BACKWARD);
  const { batch, length, dim, seed } = resolved;
  return operationCase({
    operation: 's4dBackward',
    optional: true,
    id: `s4d-backward/${resolved.id}`,
    seed,
    sizes: sizes(resolved),
    tolerance: resolved.tolerance,
    build() {
      const random = new Random(seed + 1);
      return {
        ...build(resolved),
        dy: { host: normals(random, [batch, length, dim]) },
        dLastState: { host: normals(random, statesOf(resolved)) },
      };
    },
    arguments: (tensors) => [...scanArguments(resolved, tensors), { y: tensors.dy, lastState: tensors.dLastState }],
  });
}

type Resolved = ReturnType<typeof resolve>;

function resolve(options: S4dCaseOptions, tolerance: Tolerance) {
  const { batch, length, dim, state } = options;
  return {
    ...{ batch, length, dim, state },
    id: options.id ?? `b${batch}-l${length}-d${dim}-n${state}`,
    seed: options.seed ?? 1,
    tolerance: options.tolerance ?? tolerance,
    complex: options.complex ?? true,
    discretization: options.discretization ?? ('zoh' as S4dDiscretization),
    B: options.B ?? false,
    D: options.D ?? true,
    initialState: options.initialState ?? false,
    resets: options.resets ?? false,
    steps: options.steps ?? 1,
    decay: options.decay ?? 1,
    edit: options.edit,
  };
}

function sizes({ id: _id, seed: _seed, tolerance: _tolerance, edit: _edit, ...rest }: Resolved) {
  return rest;
}

function statesOf({ batch, complex, dim, state }: Resolved): Shape {
  return complex ? [batch, 2, dim, state] : [batch, dim, state];
}

function build(options: Resolved): Inputs {
  const { batch, length, dim, state, complex, steps, decay } = options;
  const random = new Random(options.seed);
  const system: Shape = complex ? [2, dim, state] : [dim, state];
  /** The value of a state of S4D-Lin, -1/2 + iπn, or S4D-Real, -(n + 1). */
  const rate = (index: number): number => {
    const n = index % state;
    if (index >= dim * state) return Math.PI * n;
    return complex ? -0.5 * decay : -(n + 1) * decay;
  };
  const all: Record<string, HostTensor> = {
    u: normals(random, [batch, length, dim]),
    dt: floats([dim], () => steps * random.logUniform(1e-3, 0.1)),
    A: floats(system, (index) => rate(index) * (1 + 0.1 * random.normal())),
    B: normals(random, system),
    C: normals(random, system),
    D: normals(random, [dim]),
    initialState: normals(random, statesOf(options), 0.1),
    resets: resetMarks(random, batch, length),
  };
  for (const name of ['B', 'D', 'initialState', 'resets'] as const) if (!options[name]) delete all[name];
  options.edit?.(all);
  return Object.fromEntries(Object.entries(all).map(([name, host]) => [name, { host }]));
}

function scanArguments<T>({ discretization }: Resolved, tensors: Named<T>): unknown[] {
  const { u, dt, A, B, C, D, initialState, resets } = tensors;
  return [u, dt, A, C, { B, D, initialState, resets, discretization }];
}
