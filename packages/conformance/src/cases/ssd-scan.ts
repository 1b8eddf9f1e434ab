import type { HostTensor } from '@mamba/core';
import { Random } from '../random.ts';
import { type Inputs, type Named, type OperationCase, operationCase, type Tolerance } from './case.ts';
import { floats, normals, resetMarks } from './host.ts';
import { makeA, makeDelta, makeDeltaBias, makeZ, type Regime } from './regimes.ts';

/** The extents of a scan of Mamba-2: x `[batch, length, heads, headDim]`, with `state` states a channel. */
export interface SsdScanShape {
  readonly batch: number;
  readonly length: number;
  readonly heads: number;
  readonly headDim: number;
  readonly state: number;
}

/** Sizes and options of a case of `ssdScan` and of its gradients. */
export interface SsdScanCaseOptions extends SsdScanShape {
  /** The variant in the case's id. Default: made of the shape. */
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
  readonly tolerance?: Tolerance | undefined;
  /** Default 1. */
  readonly groups?: number | undefined;
  /** Whether heads and groups are flattened, as in a block. Default false. */
  readonly flat?: boolean | undefined;
  /** D, z, dtBias and dtSoftplus are on by default, as in a Mamba-2 block; initialState and resets are off. */
  readonly D?: boolean | 'wide' | undefined;
  readonly z?: boolean | undefined;
  readonly dtBias?: boolean | undefined;
  readonly dtSoftplus?: boolean | undefined;
  readonly dtLimits?: readonly [number, number] | undefined;
  readonly initialState?: boolean | undefined;
  readonly resets?: boolean | undefined;
  /** Default `usual`. */
  readonly regime?: Regime | undefined;
  /** Changes the inputs after they were made, for example to insert a NaN. */
  readonly edit?: ((inputs: Record<string, HostTensor>) => void) | undefined;
}

/** Mamba-2's scan of seeded inputs. The defaults are those of a Mamba-2 block. */
export function ssdScanCase(options: SsdScanCaseOptions): OperationCase<'ssdScan'> {
  const resolved = resolve(options);
  return operationCase({
    operation: 'ssdScan',
    optional: true,
    id: `ssd-scan/${resolved.id}`,
    seed: resolved.seed,
    sizes: sizes(resolved),
    tolerance: resolved.tolerance,
    build: () => build(resolved),
    arguments: (tensors) => scanArguments(resolved, tensors),
  });
}

/** The gradients of all inputs of Mamba-2's scan, for seeded cotangents of y and the last state. */
export function ssdScanBackwardCase(options: SsdScanCaseOptions): OperationCase<'ssdScanBackward'> {
  const resolved = resolve({ tolerance: SSD_SCAN_BACKWARD, ...options });
  const { batch, heads, headDim, state, seed } = resolved;
  return operationCase({
    operation: 'ssdScanBackward',
    optional: true,
    id: `ssd-scan-backward/${resolved.id}`,
    seed,
    sizes: sizes(resolved),
    tolerance: resolved.tolerance,
    build() {
      const random = new Random(seed + 1);
      return {
        ...build(resolved),
        dy: { host: normals(random, shapeOfX(resolved)) },
        dLastState: { host: normals(random, [batch, heads, headDim, state]) },
      };
    },
    arguments: (tensors) => [...scanArguments(resolved, tensors), { y: tensors.dy, lastState: tensors.dLastState }],
  });
}

export const SSD_SCAN: Tolerance = {
  relative: 1e-5,
  reason: 'float32 products over a chunk and over the states, and a state that is rounded once a chunk',
};

export const SSD_SCAN_BACKWARD: Tolerance = {
  relative: 5e-5,
  reason: 'products of products: the adjoint of the rounded states, and sums over heads, batch and length',
};

type Resolved = ReturnType<typeof resolve>;

function resolve(options: SsdScanCaseOptions) {
  const { batch, length, heads, headDim, state } = options;
  return {
    batch,
    length,
    heads,
    headDim,
    state,
    id: options.id ?? `b${batch}-l${length}-h${heads}-p${headDim}-n${state}`,
    seed: options.seed ?? 1,
    tolerance: options.tolerance ?? SSD_SCAN,
    groups: options.groups ?? 1,
    flat: options.flat ?? false,
    D: options.D ?? true,
    z: options.z ?? true,
    dtBias: options.dtBias ?? true,
    dtSoftplus: options.dtSoftplus ?? true,
    dtLimits: options.dtLimits,
    initialState: options.initialState ?? false,
    resets: options.resets ?? false,
    regime: options.regime ?? ('usual' as Regime),
    edit: options.edit,
  };
}

function sizes({ id: _id, seed: _seed, tolerance: _tolerance, edit: _edit, dtLimits, ...rest }: Resolved) {
  return { ...rest, dtLimits: dtLimits?.join(' to ') ?? 'none' };
}

function shapeOfX({ batch, length, heads, headDim, flat }: Resolved): readonly number[] {
  return flat ? [batch, length, heads * headDim] : [batch, length, heads, headDim];
}

function build(options: Resolved): Inputs {
  const { batch, length, heads, headDim, state, groups, flat, regime, D } = options;
  const random = new Random(options.seed);
  const ofX = shapeOfX(options);
  const ofB = flat ? [batch, length, groups * state] : [batch, length, groups, state];
  // Every tensor is drawn, also those of options that are off, so that an option does not change the other tensors.
  const all: Record<string, HostTensor> = {
    x: normals(random, ofX),
    dt: makeDelta(random, [batch, length, heads], regime, options.dtSoftplus),
    A: { ...makeA(random, heads, 1, regime), shape: [heads] },
    B: normals(random, ofB),
    C: normals(random, ofB),
    D: floats(D === 'wide' ? [heads, headDim] : [heads], () => 1 + 0.5 * random.normal()),
    z: makeZ(random, ofX, regime),
    dtBias: makeDeltaBias(random, heads, options.dtSoftplus),
    initialState: normals(random, [batch, heads, headDim, state]),
    resets: resetMarks(random, batch, length),
  };
  for (const name of ['D', 'z', 'dtBias', 'initialState', 'resets'] as const) if (!options[name]) delete all[name];
  options.edit?.(all);
  return Object.fromEntries(Object.entries(all).map(([name, host]) => [name, { host }]));
}

function scanArguments<T>({ dtSoftplus, dtLimits, flat, groups }: Resolved, tensors: Named<T>): unknown[] {
  const { x, dt, A, B, C, D, z, dtBias, initialState, resets } = tensors;
  const options = { D, z, dtBias, dtSoftplus, dtLimits, initialState, resets };
  return [x, dt, A, B, C, flat ? { ...options, groups } : options];
}
