/** The cases of S4D: lengths around those of chunks, all options, and systems that forget at once or never. */
import type { Case } from '../cases/case.ts';
import { type S4dCaseOptions, s4dBackwardCase, s4dCase } from '../cases/s4d.ts';
import { plant } from './selective-scan.ts';

const SMALL = { batch: 2, length: 17, dim: 6, state: 4 } as const;
const ALL_ON = { B: true, D: true, initialState: true, resets: true } as const;

export function s4dSuite(): readonly Case[] {
  return [...shared(), ...extremes()].map((options, index) => s4dCase({ seed: 800 + index, ...options }));
}

export function s4dBackwardSuite(): readonly Case[] {
  return shared().map((options, index) => s4dBackwardCase({ seed: 900 + index, ...options }));
}

function shared(): S4dCaseOptions[] {
  return [
    ...[1, 2, 31, 32, 33, 64, 129].map((length) => ({ ...SMALL, length, id: `len${length}` })),
    { id: 'len4096', batch: 1, length: 4096, dim: 3, state: 8 },
    ...[1, 3, 4, 5, 65].map((dim) => ({ ...SMALL, dim, id: `d${dim}` })),
    ...[1, 3, 33].map((state) => ({ ...SMALL, state, id: `n${state}` })),
    ...(['zoh', 'bilinear'] as const).flatMap((discretization) => [
      { ...SMALL, ...ALL_ON, discretization, length: 70, id: `${discretization}-all-on` },
      { ...SMALL, ...ALL_ON, discretization, length: 70, complex: false, id: `${discretization}-real` },
      { ...SMALL, D: false, discretization, id: `${discretization}-all-off` },
      // |z| up to 300, where a step turns many times around.
      { ...SMALL, B: true, discretization, steps: 300, id: `${discretization}-large-steps` },
      // |z| down to 1e-6, where differences of 1 would cancel.
      { ...SMALL, B: true, discretization, steps: 1e-3, id: `${discretization}-small-steps` },
    ]),
    { ...SMALL, initialState: true, length: 40, id: 'initial-state' },
    { ...SMALL, initialState: true, length: 1, id: 'step' },
    { ...SMALL, resets: true, length: 100, id: 'resets' },
    { ...SMALL, decay: 1e-9, length: 300, id: 'forget-never' },
    { ...SMALL, decay: 1e4, steps: 10, id: 'forget-at-once' },
  ];
}

function extremes(): S4dCaseOptions[] {
  const { NaN: nan } = Number;
  return [
    { ...SMALL, edit: plant('A', 0, 0), complex: false, id: 'zero-rate' },
    { ...SMALL, length: 70, edit: plant('u', 23, nan), id: 'nan-u' },
    { ...SMALL, edit: plant('A', 5, nan), id: 'nan-a' },
    { ...SMALL, edit: plant('dt', 2, nan), id: 'nan-dt' },
  ];
}
