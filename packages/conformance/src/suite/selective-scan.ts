import type { Discretization, HostTensor } from '@mamba/core';
import type { Case } from '../cases/case.ts';
import { REGIMES } from '../cases/regimes.ts';
import {
  type Projection,
  type SelectiveScanCaseOptions,
  selectiveScanBackwardCase,
  selectiveScanCase,
} from '../cases/selective-scan.ts';

const SMALL = { batch: 2, length: 17, dim: 5, state: 4 };
const DISCRETIZATIONS: readonly Discretization[] = ['euler', 'zoh', 'bilinear'];
const PROJECTIONS: readonly Projection[] = ['grouped', 'ungrouped', 'constant'];

export function selectiveScanSuite(): readonly Case[] {
  return [...lengths(), ...extents(), ...options(), ...projections(), ...regimes(), ...pitfalls()].map(
    (options, index) => selectiveScanCase({ seed: 100 + index, ...options }),
  );
}

export function selectiveScanBackwardSuite(): readonly Case[] {
  const shapes: SelectiveScanCaseOptions[] = [
    { id: 'all-on', ...SMALL, initialState: true, resets: true },
    { id: 'all-off', ...SMALL, D: false, z: false, deltaBias: false, deltaSoftplus: false },
    { id: 'len129', batch: 1, length: 129, dim: 3, state: 16 },
    { id: 'len1', batch: 2, length: 1, dim: 3, state: 2, initialState: true },
    { id: 'groups3', batch: 2, length: 9, dim: 6, state: 3, groups: 3 },
    { id: 'constant-b', ...SMALL, B: 'constant' },
    { id: 'constant-c', ...SMALL, C: 'constant', initialState: true },
    { id: 'ungrouped', ...SMALL, B: 'ungrouped', C: 'ungrouped' },
    { id: 'zoh', ...SMALL, discretization: 'zoh', initialState: true, resets: true },
    { id: 'bilinear', ...SMALL, discretization: 'bilinear', initialState: true, resets: true },
    ...[1, 2, 3, 16, 63, 64, 65, 129, 1134].map((length) => ({
      id: `len${length}-initial`,
      ...{ batch: length > 1000 ? 1 : 2, length, dim: 5, state: 16, initialState: true },
    })),
    ...[1, 2, 3, 4, 8, 17, 32, 64].map((state) => ({ id: `state${state}`, batch: 2, length: 9, dim: 5, state })),
    ...[1, 2, 3, 4, 7, 8, 13, 33, 64, 65].map((dim) => ({ id: `dim${dim}`, batch: 2, length: 9, dim, state: 16 })),
    { id: 'batch7', batch: 7, length: 5, dim: 3, state: 3, initialState: true },
    ...evenOptions(),
    ...PROJECTIONS.flatMap((B) =>
      PROJECTIONS.map((C) => ({ id: `b-${B}-c-${C}`, ...SMALL, B, C, initialState: true, resets: true })),
    ),
    { id: 'constant-groups', batch: 2, length: 9, dim: 12, state: 5, groups: 3, B: 'constant' },
    { id: 'dim33-groups3', batch: 2, length: 70, dim: 33, state: 16, groups: 3, resets: true },
    { id: 'dim64-groups2', batch: 1, length: 70, dim: 64, state: 16, groups: 2 },
    ...DISCRETIZATIONS.flatMap((discretization) =>
      (['constant', 'grouped'] as const).map((B) => ({
        ...{ id: `${discretization}-${B}-len129`, batch: 2, length: 129, dim: 7, state: 16, discretization },
        ...{ B, initialState: true, resets: true },
      })),
    ),
    ...REGIMES.flatMap((regime) => [
      { id: `regime-${regime}`, batch: 2, length: 70, dim: 5, state: 8, regime, initialState: true },
    ]),
    // The slope of softplus must not cancel where the steps are small.
    { id: 'small-steps', ...SMALL, initialState: true, edit: setAll('delta', (index) => -7 - (index % 9)) },
    { id: 'growing-state', batch: 1, length: 129, dim: 3, state: 4, edit: setAll('A', (index) => 0.05 * (index % 4)) },
    { id: 'reset-after-nan', ...SMALL, resets: true, edit: resetAfter(Number.NaN) },
    { id: 'nan-u', ...SMALL, edit: plant('u', 23, Number.NaN) },
    { id: 'kept', ...SMALL, state: 16, length: 45, initialState: true, resets: true, keepStates: true },
    { id: 'kept-len1134', batch: 1, length: 1134, dim: 5, state: 16, initialState: true, keepStates: true },
  ];
  return shapes.map((options, index) => selectiveScanBackwardCase({ seed: 700 + index, ...options }));
}

function lengths(): SelectiveScanCaseOptions[] {
  return [1, 2, 3, 17, 129, 1134, 4096].map((length) => ({
    id: `len${length}`,
    batch: length > 1000 ? 1 : 2,
    length,
    dim: 5,
    state: 16,
  }));
}

/** Extents that are no multiple of a vector width, and extents that kernels have fast paths for. */
function extents(): SelectiveScanCaseOptions[] {
  return [
    ...[1, 2, 3, 4, 8, 16, 17, 32, 64, 80].map((state) => ({
      id: `state${state}`,
      batch: 2,
      length: 9,
      dim: 5,
      state,
    })),
    ...[1, 2, 3, 4, 7, 8, 13, 33, 64].map((dim) => ({ id: `dim${dim}`, batch: 2, length: 9, dim, state: 16 })),
    { id: 'batch7', batch: 7, length: 5, dim: 3, state: 3 },
    { id: 'step-batch3', batch: 3, length: 1, dim: 33, state: 16, initialState: true },
  ];
}

/** Every combination of the options. */
function options(): SelectiveScanCaseOptions[] {
  const all: SelectiveScanCaseOptions[] = [];
  for (let bits = 0; bits < 64; bits++) {
    const on = (bit: number): boolean => (bits & (1 << bit)) !== 0;
    const flags = {
      D: on(0),
      z: on(1),
      deltaBias: on(2),
      deltaSoftplus: on(3),
      initialState: on(4),
      resets: on(5),
    };
    const names = Object.entries(flags).filter(([, enabled]) => enabled);
    all.push({ id: `with-${names.map(([name]) => name).join('-') || 'nothing'}`, ...SMALL, ...flags });
  }
  for (const discretization of DISCRETIZATIONS) {
    all.push({ id: `${discretization}-all-on`, ...SMALL, initialState: true, resets: true, discretization });
    all.push({
      id: `${discretization}-all-off`,
      ...SMALL,
      D: false,
      z: false,
      deltaBias: false,
      deltaSoftplus: false,
      discretization,
    });
    all.push({ id: `${discretization}-constant`, ...SMALL, B: 'constant', C: 'constant', discretization });
    all.push({ id: `${discretization}-state16`, batch: 1, length: 33, dim: 7, state: 16, discretization });
  }
  return all;
}

/**
 * Combinations of those options that kernels are specialised by, an even number of them on: half of all combinations,
 * in which every three of the options still take all values. D and deltaBias have all values beside them. There are as
 * many states as in the golden files, so that kernels which are specialised by their number are compiled once for both.
 */
function evenOptions(): SelectiveScanCaseOptions[] {
  return options()
    .slice(0, 64)
    .filter((item) => [item.z, item.deltaSoftplus, item.initialState, item.resets].filter(Boolean).length % 2 === 0)
    .map((item) => ({ ...item, state: 16 }));
}

function projections(): SelectiveScanCaseOptions[] {
  const all: SelectiveScanCaseOptions[] = [];
  for (const B of PROJECTIONS) {
    for (const C of PROJECTIONS) {
      all.push({ id: `b-${B}-c-${C}`, ...SMALL, B, C, initialState: true });
      if (B === 'grouped' || C === 'grouped') {
        // An ungrouped tensor is one group, so a grouped one beside it must have one group too.
        const groups = B === 'ungrouped' || C === 'ungrouped' ? 1 : 3;
        all.push({ id: `b-${B}-c-${C}-groups${groups}`, batch: 2, length: 9, dim: 12, state: 5, groups, B, C });
      }
    }
  }
  for (const [dim, groups] of [
    [8, 2],
    [8, 4],
    [8, 8],
    [15, 5],
    [33, 3],
  ] as const)
    all.push({ id: `dim${dim}-groups${groups}`, batch: 2, length: 11, dim, state: 16, groups });
  return all;
}

function regimes(): SelectiveScanCaseOptions[] {
  return REGIMES.flatMap((regime) => [
    { id: `regime-${regime}`, batch: 2, length: 70, dim: 5, state: 8, regime, initialState: true },
    { id: `regime-${regime}-len1134`, batch: 1, length: 1134, dim: 5, state: 8, regime },
    ...DISCRETIZATIONS.filter((discretization) => discretization !== 'euler').map((discretization) => ({
      id: `regime-${regime}-${discretization}`,
      batch: 1,
      length: 70,
      dim: 5,
      state: 8,
      regime,
      discretization,
    })),
  ]);
}

/** A case for each mistake that other implementations have made. */
function pitfalls(): SelectiveScanCaseOptions[] {
  const softplusOnly = { D: false, z: false, deltaBias: false, deltaSoftplus: true };
  return [
    // Values around the threshold of 20, and values where exp overflows float32 (above 88).
    {
      id: 'softplus-threshold',
      ...SMALL,
      ...softplusOnly,
      edit: setAll('delta', (index) => THRESHOLD[index % THRESHOLD.length]!),
    },
    // log(1 + exp(x)) is 0 here in float32. Every step is small, so that no larger value hides the error.
    { id: 'softplus-negative', ...SMALL, ...softplusOnly, edit: setAll('delta', (index) => -16 - (index % 7)) },
    { id: 'softplus-very-negative', ...SMALL, ...softplusOnly, edit: setAll('delta', (index) => -40 - (index % 20)) },
    { id: 'bias-added-once', ...SMALL, edit: setAll('deltaBias', (index) => 1.5 + index / 4) },
    { id: 'groups-repeat-interleave', batch: 1, length: 7, dim: 12, state: 4, groups: 3 },
    { id: 'constant-b-last-state', ...SMALL, B: 'constant', z: false, D: false },
    {
      id: 'zero-a',
      ...SMALL,
      discretization: 'zoh',
      edit: setAll('A', (index) => (index % 3 === 0 ? 0 : -1e-7 * index)),
    },
    // The exponents of the decays are large, and exp of their sum overflows.
    { id: 'no-exp-of-sums', batch: 1, length: 129, dim: 3, state: 4, edit: setAll('A', (index) => -200 - index) },
    { id: 'initial-state-without-input', ...SMALL, initialState: true, edit: setAll('u', () => 0) },
    { id: 'growing-state', batch: 1, length: 129, dim: 3, state: 4, edit: setAll('A', (index) => 0.05 * (index % 4)) },
    { id: 'reset-after-nan', ...SMALL, resets: true, edit: resetAfter(Number.NaN) },
    { id: 'reset-after-infinity', ...SMALL, resets: true, edit: resetAfter(Number.POSITIVE_INFINITY) },
    { id: 'reset-of-nan-initial-state', ...SMALL, resets: true, initialState: true, edit: nanInitialState },
    { id: 'nan-u', ...SMALL, edit: plant('u', 23, Number.NaN) },
    { id: 'nan-delta', ...SMALL, edit: plant('delta', 23, Number.NaN) },
    { id: 'nan-z', ...SMALL, edit: plant('z', 23, Number.NaN) },
    ...DISCRETIZATIONS.flatMap((discretization) =>
      RATES.map(({ id, value, ...options }) => ({
        id: `${id}-${discretization}`,
        ...options,
        discretization,
        edit: plant('A', 5, value),
      })),
    ),
    { id: 'nan-b', ...SMALL, edit: plant('B', 9, Number.NaN) },
    { id: 'nan-c', ...SMALL, edit: plant('C', 9, Number.NaN) },
    { id: 'nan-d', ...SMALL, edit: plant('D', 2, Number.NaN) },
    { id: 'nan-initial-state', ...SMALL, initialState: true, edit: plant('initialState', 7, Number.NaN) },
    { id: 'infinite-b', ...SMALL, edit: plant('B', 9, Number.POSITIVE_INFINITY) },
    { id: 'infinite-b-at-the-end', ...SMALL, resets: true, edit: plant('B', 2 * 17 * 4 - 1, Number.NEGATIVE_INFINITY) },
    { id: 'infinite-constant-b', ...SMALL, B: 'constant', edit: plant('B', 9, Number.POSITIVE_INFINITY) },
    { id: 'infinite-delta-zoh', ...SMALL, discretization: 'zoh', edit: plant('delta', 23, Number.POSITIVE_INFINITY) },
    { id: 'infinite-u', ...SMALL, edit: plant('u', 23, Number.POSITIVE_INFINITY) },
    ...[1, 4, 5, 12, 16].map((state) => ({
      // B and C are above 0, so that y is infinite and not NaN.
      id: `infinite-u-state${state}`,
      ...SMALL,
      state,
      edit: (inputs: Record<string, HostTensor>) => {
        plant('u', 23, Number.POSITIVE_INFINITY)(inputs);
        for (const name of ['B', 'C']) setAll(name, (index) => 1 + (index % 3))(inputs);
      },
    })),
    { id: 'infinite-delta', ...SMALL, edit: plant('delta', 23, Number.POSITIVE_INFINITY) },
    { id: 'minus-infinite-delta', ...SMALL, edit: plant('delta', 23, Number.NEGATIVE_INFINITY) },
    { id: 'infinite-z', ...SMALL, edit: plant('z', 23, Number.POSITIVE_INFINITY) },
    { id: 'minus-infinite-z', ...SMALL, edit: plant('z', 23, Number.NEGATIVE_INFINITY) },
  ];
}

/**
 * Values of A that are NaN, infinite or the largest float: from a zero state and from a given one, in one step, in a
 * part of a tile, in many tiles, and after resets.
 */
const RATES = (['nan', 'infinite', 'minus-infinite', 'minus-largest'] as const).flatMap((name) => {
  const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;
  const value = { nan, infinite: infinity, 'minus-infinite': -infinity, 'minus-largest': -3.4e38 }[name];
  return [
    { id: `${name}-a`, ...SMALL, value },
    { id: `${name}-a-step`, ...SMALL, length: 1, initialState: true, value },
    { id: `${name}-a-long`, batch: 1, length: 150, dim: 5, state: 16, initialState: true, value },
    { id: `${name}-a-resets`, batch: 2, length: 70, dim: 5, state: 16, initialState: true, resets: true, value },
  ];
});

const THRESHOLD = [19, 19.99, 20, 20.01, 21, 30, 60, 88, 89, 100, 0, -1, -20];

function setAll(name: string, value: (index: number) => number) {
  return (inputs: Record<string, HostTensor>): void => {
    const { data } = inputs[name]!;
    for (let index = 0; index < data.length; index++) data[index] = value(index);
  };
}

export function plant(name: string, position: number, value: number) {
  return (inputs: Record<string, HostTensor>): void => {
    inputs[name]!.data[position] = value;
  };
}

/** A value that is not finite in each row, and a reset some steps later. A state multiplied by 0 would still be NaN. */
function resetAfter(value: number) {
  return ({ u, resets }: Record<string, HostTensor>): void => {
    const [batch, length, dim] = u!.shape as [number, number, number];
    resets!.data.fill(0);
    for (let row = 0; row < batch; row++) {
      u!.data[(row * length + 4) * dim + 1] = value;
      resets!.data[row * length + 9 + row] = 1;
    }
  };
}

function nanInitialState({ initialState, resets }: Record<string, HostTensor>): void {
  const length = resets!.shape[1]!;
  initialState!.data.fill(Number.NaN);
  resets!.data.fill(0);
  resets!.data[0] = 1;
  resets!.data[length + 3] = 1;
}
