/** The cases of Mamba-2's scan and of its gated norm. */
import type { Case } from '../cases/case.ts';
import { gatedRmsNormBackwardCase, gatedRmsNormCase } from '../cases/gated-rms-norm.ts';
import { REGIMES } from '../cases/regimes.ts';
import { type SsdScanCaseOptions, ssdScanBackwardCase, ssdScanCase } from '../cases/ssd-scan.ts';
import { plant } from './selective-scan.ts';

const SMALL = { batch: 2, length: 19, heads: 4, headDim: 6, state: 5 };
/** What a call can leave out, and the state that it carries. */
const BARE = { D: false, z: false, dtBias: false, dtSoftplus: false } as const;
const CARRIED = { initialState: true, resets: true } as const;

export function ssdScanSuite(): readonly Case[] {
  return [
    ...shapes(),
    ...options(),
    { id: 'step', batch: 3, length: 1, heads: 4, headDim: 6, state: 5, initialState: true },
    { id: 'step-of-models', batch: 2, length: 1, heads: 2, headDim: 64, state: 128, initialState: true, flat: true },
    { id: 'step-bare', batch: 2, length: 1, heads: 3, headDim: 5, state: 33, ...BARE, resets: true },
    { id: 'long', batch: 1, length: 1134, heads: 2, headDim: 8, state: 16, initialState: true },
    { id: 'nan-initial-state', ...SMALL, initialState: true, edit: plant('initialState', 7, Number.NaN) },
    { id: 'nan-z', ...SMALL, edit: plant('z', 23, Number.NaN) },
    { id: 'infinite-z', ...SMALL, edit: plant('z', 23, Number.POSITIVE_INFINITY) },
  ].map((item, index) => ssdScanCase({ seed: 800 + index, ...item }));
}

export function ssdScanBackwardSuite(): readonly Case[] {
  return [
    ...shapes(),
    ...options(),
    // The slope of softplus must not cancel where the steps are small.
    { id: 'small-steps', ...SMALL, initialState: true, edit: smallSteps },
  ].map((item, index) => ssdScanBackwardCase({ seed: 900 + index, ...item }));
}

/** Lengths around the chunks of backends, and extents that are no multiple of a vector or a tile. */
function shapes(): SsdScanCaseOptions[] {
  return [
    ...[1, 2, 3, 59, 60, 61, 63, 64, 65, 129, 257].map((length) => ({
      ...{ id: `len${length}`, batch: length > 100 ? 1 : 2, length, heads: 2, headDim: 4, state: 16 },
      initialState: true,
    })),
    { id: 'of-models', batch: 1, length: 70, heads: 2, headDim: 64, state: 128, flat: true, ...CARRIED },
    { id: 'wide', batch: 1, length: 67, heads: 3, headDim: 66, state: 131, initialState: true },
    { id: 'one-of-each', batch: 1, length: 9, heads: 1, headDim: 1, state: 1, initialState: true },
    { id: 'many-heads', batch: 1, length: 9, heads: 40, headDim: 3, state: 2, groups: 2 },
    { id: 'groups2-flat', ...SMALL, groups: 2, flat: true, ...CARRIED },
    { id: 'groups-heads', ...SMALL, groups: 4, initialState: true },
    { id: 'batch7', ...SMALL, batch: 7, length: 5, initialState: true },
  ];
}

/** Options alone, all of them and none; regimes. */
function options(): SsdScanCaseOptions[] {
  return [
    { id: 'bare', ...SMALL, ...BARE },
    { id: 'all-on', ...SMALL, ...CARRIED, D: 'wide', dtLimits: [0.01, 0.4] },
    ...(['D', 'z', 'dtBias', 'dtSoftplus'] as const).map((name) => ({
      ...{ id: `only-${name}`, ...SMALL, ...BARE },
      [name]: true,
    })),
    { id: 'wide-D', ...SMALL, ...BARE, D: 'wide' },
    { id: 'limits-without-softplus', ...SMALL, ...BARE, dtLimits: [0.05, Number.POSITIVE_INFINITY] },
    { id: 'resets', ...SMALL, length: 150, resets: true },
    { id: 'growing', ...SMALL, length: 70, edit: growing },
    ...REGIMES.map((regime) => ({ id: `regime-${regime}`, ...SMALL, length: 70, regime, initialState: true })),
  ];
}

function growing({ A }: Parameters<NonNullable<SsdScanCaseOptions['edit']>>[0]): void {
  for (let h = 0; h < A!.data.length; h++) A!.data[h] = 0.02 * h;
}

function smallSteps({ dt }: Parameters<NonNullable<SsdScanCaseOptions['edit']>>[0]): void {
  for (let index = 0; index < dt!.data.length; index++) dt!.data[index] = -7 - (index % 9);
}

export function gatedRmsNormSuite(): readonly Case[] {
  return both(gatedRmsNormCase).concat([
    gatedRmsNormCase({ rows: 3, channels: 12, groupSize: 4, id: 'nan-x', edit: plant('x', 17, Number.NaN) }),
    gatedRmsNormCase({ rows: 3, channels: 12, groupSize: 4, id: 'nan-z', edit: plant('z', 17, Number.NaN) }),
  ]);
}

export function gatedRmsNormBackwardSuite(): readonly Case[] {
  return both(gatedRmsNormBackwardCase);
}

function both(make: (options: Parameters<typeof gatedRmsNormCase>[0]) => Case): readonly Case[] {
  return [
    ...[1, 3, 8, 13, 64, 768].map((channels) => make({ rows: 5, channels, seed: channels })),
    ...[1, 3, 4, 12].map((groupSize) => make({ rows: 7, channels: 24, groupSize, seed: groupSize })),
    make({ rows: [2, 3], channels: 24, groupSize: 8, normBeforeGate: true, id: 'norm-first' }),
    make({ rows: [2, 3], channels: 13, normBeforeGate: true, weight: false, id: 'norm-first-no-weight' }),
    make({ rows: [2, 3], channels: 24, groupSize: 8, z: false, id: 'no-gate' }),
    make({ rows: [2, 3], channels: 24, groupSize: 4, z: false, weight: false, id: 'alone' }),
    make({ rows: [], channels: 12, groupSize: 6, id: 'rank1' }),
    make({ rows: 1030, channels: 10, groupSize: 5, id: 'many-rows' }),
    make({ rows: 3, channels: 12, groupSize: 4, eps: 0.5, id: 'eps-large' }),
    make({ rows: 3, channels: 12, groupSize: 4, scale: 0.003, id: 'default-eps-matters' }),
    make({ rows: 3, channels: 12, groupSize: 4, scale: 1e12, id: 'large' }),
    make({ rows: 3, channels: 12, groupSize: 4, scale: 1e-12, id: 'tiny' }),
    make({ rows: 3, channels: 12, groupSize: 4, gateScale: 60, id: 'big-gate' }),
    make({ rows: 3, channels: 12, groupSize: 4, gateScale: 60, normBeforeGate: true, id: 'big-gate-norm-first' }),
    make({ rows: 3, channels: 12, groupSize: 4, scale: 0, id: 'zero' }),
  ];
}
