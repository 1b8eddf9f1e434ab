import type { Discretization, HostTensor } from '@mamba/core';
import { Random } from '../random.ts';
import { type Inputs, invoke, type Named, named, type OperationCase, operationCase, type Tolerance } from './case.ts';
import { floats, normals, resetMarks } from './host.ts';
import { makeA, makeDelta, makeDeltaBias, makeZ, type Regime } from './regimes.ts';

/**
 * The form of B or C: with groups `[batch, length, groups, state]`, without groups `[batch, length, state]`, or
 * constant `[dim, state]`.
 */
export type Projection = 'grouped' | 'ungrouped' | 'constant';

/** The extents of a selective scan: u `[batch, length, dim]`, with `state` states a channel. */
export interface SelectiveScanShape {
  readonly batch: number;
  readonly length: number;
  readonly dim: number;
  readonly state: number;
}

/** Sizes and options of a case of `selectiveScan` and of its gradients. */
export interface SelectiveScanCaseOptions extends SelectiveScanShape {
  /** The variant in the case's id. Default: made of the shape. */
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
  readonly tolerance?: Tolerance | undefined;
  /** Default 1. */
  readonly groups?: number | undefined;
  /** Default `grouped`. */
  readonly B?: Projection | undefined;
  /** Default `grouped`. */
  readonly C?: Projection | undefined;
  /** D, z, deltaBias and deltaSoftplus are on by default, as in a Mamba block; initialState and resets are off. */
  readonly D?: boolean | undefined;
  readonly z?: boolean | undefined;
  readonly deltaBias?: boolean | undefined;
  readonly deltaSoftplus?: boolean | undefined;
  readonly initialState?: boolean | undefined;
  readonly resets?: boolean | undefined;
  readonly discretization?: Discretization | undefined;
  /** Default `usual`. */
  readonly regime?: Regime | undefined;
  /** Whether the scan keeps its states; gradients are then computed from those. Default false. */
  readonly keepStates?: boolean | undefined;
  /** Changes the inputs after they were made, for example to insert a NaN. */
  readonly edit?: ((inputs: Record<string, HostTensor>) => void) | undefined;
}

/** A selective scan of seeded inputs. The defaults are those of a Mamba block. */
export function selectiveScanCase(options: SelectiveScanCaseOptions): OperationCase<'selectiveScan'> {
  const resolved = resolve(options);
  return operationCase({
    operation: 'selectiveScan',
    id: `selective-scan/${resolved.id}`,
    seed: resolved.seed,
    sizes: sizes(resolved),
    tolerance: resolved.tolerance,
    build: () => build(resolved),
    arguments: (tensors) => scanArguments(resolved, tensors),
  });
}

/** The gradients of all inputs of a selective scan, for seeded cotangents of y and the last state. */
export function selectiveScanBackwardCase(options: SelectiveScanCaseOptions): OperationCase<'selectiveScanBackward'> {
  const resolved = resolve({ tolerance: SCAN_BACKWARD, ...options });
  const { batch, length, dim, state, seed } = resolved;
  const args = <T>(tensors: Named<T>): unknown[] => [
    ...scanArguments(resolved, tensors),
    { y: tensors.dy, lastState: tensors.dLastState },
  ];
  return operationCase({
    operation: 'selectiveScanBackward',
    optional: true,
    id: `selective-scan-backward/${resolved.id}`,
    seed,
    sizes: sizes(resolved),
    tolerance: resolved.tolerance,
    build() {
      const random = new Random(seed + 1);
      return {
        ...build(resolved),
        dy: { host: normals(random, [batch, length, dim]) },
        dLastState: { host: normals(random, [batch, dim, state]) },
      };
    },
    arguments: args,
    call(backend, tensors) {
      if (!resolved.keepStates) return named(invoke(backend, 'selectiveScanBackward', args(tensors)));
      const forward = named(invoke(backend, 'selectiveScan', scanArguments(resolved, tensors)));
      try {
        return named(invoke(backend, 'selectiveScanBackward', [...args(tensors), forward.states]));
      } finally {
        for (const tensor of Object.values(forward)) tensor.dispose();
      }
    },
  });
}

export const SCAN: Tolerance = {
  relative: 1e-5,
  reason:
    'float32 state: a rounding of 6e-8 a step and state, carried for as long as the state remembers, and sums over state',
};

export const SCAN_BACKWARD: Tolerance = {
  relative: 5e-5,
  reason:
    'the adjoint state runs a second recurrence over the rounded first, and gradients of A, D and deltaBias sum over batch and length',
};

type Resolved = ReturnType<typeof resolve>;

function resolve(options: SelectiveScanCaseOptions) {
  const { batch, length, dim, state } = options;
  return {
    batch,
    length,
    dim,
    state,
    id: options.id ?? `b${batch}-l${length}-d${dim}-n${state}`,
    seed: options.seed ?? 1,
    tolerance: options.tolerance ?? SCAN,
    groups: options.groups ?? 1,
    B: options.B ?? ('grouped' as Projection),
    C: options.C ?? ('grouped' as Projection),
    D: options.D ?? true,
    z: options.z ?? true,
    deltaBias: options.deltaBias ?? true,
    deltaSoftplus: options.deltaSoftplus ?? true,
    initialState: options.initialState ?? false,
    resets: options.resets ?? false,
    discretization: options.discretization ?? ('euler' as Discretization),
    keepStates: options.keepStates ?? false,
    regime: options.regime ?? ('usual' as Regime),
    edit: options.edit,
  };
}

function sizes({
  id: _id,
  seed: _seed,
  tolerance: _tolerance,
  keepStates: _keepStates,
  edit: _edit,
  ...rest
}: Resolved) {
  return rest;
}

function build(options: Resolved): Inputs {
  const { batch, length, dim, state, groups, regime } = options;
  const random = new Random(options.seed);
  const projection = (kind: Projection): HostTensor => {
    if (kind === 'constant') return normals(random, [dim, state]);
    return normals(random, kind === 'ungrouped' ? [batch, length, state] : [batch, length, groups, state]);
  };
  // Every tensor is drawn, also those of options that are off, so that an option does not change the other tensors.
  const all: Record<string, HostTensor> = {
    u: normals(random, [batch, length, dim]),
    delta: makeDelta(random, [batch, length, dim], regime, options.deltaSoftplus),
    A: makeA(random, dim, state, regime),
    B: projection(options.B),
    C: projection(options.C),
    D: floats([dim], () => 1 + 0.5 * random.normal()),
    z: makeZ(random, [batch, length, dim], regime),
    deltaBias: makeDeltaBias(random, dim, options.deltaSoftplus),
    initialState: normals(random, [batch, dim, state]),
    resets: resetMarks(random, batch, length),
  };
  for (const name of ['D', 'z', 'deltaBias', 'initialState', 'resets'] as const) if (!options[name]) delete all[name];
  options.edit?.(all);
  return Object.fromEntries(Object.entries(all).map(([name, host]) => [name, { host }]));
}

function scanArguments<T>({ deltaSoftplus, discretization, keepStates }: Resolved, tensors: Named<T>): unknown[] {
  const { u, delta, A, B, C, D, z, deltaBias, initialState, resets } = tensors;
  return [u, delta, A, B, C, { D, z, deltaBias, deltaSoftplus, initialState, resets, discretization, keepStates }];
}
