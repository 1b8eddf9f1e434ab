/**
 * The layout of a backward selective scan over the device, by a rule from the shape and the adapter's limits. ADR 11
 * (docs/adr/0011-scan-backward-on-webgpu.md) tells what runs, and docs/performance/ holds what was measured.
 */
import type { ScanLimits, ScanShape } from './selective-scan-plan.ts';

/** The layout of a workgroup of selective-scan-backward-euler.wgsl. */
export interface EulerBackwardLayout {
  /** Lanes a channel. */
  readonly lanes: 1 | 2 | 4;
  /** Channels that have the same lanes. */
  readonly perLane: number;
  /** A multiple of `perLane`. */
  readonly channels: number;
  /** Steps of a tile of time, whose states are in registers; a multiple of `lanes`. */
  readonly steps: number;
  /** Steps whose dB and dC are in workgroup memory at once; it divides `steps`. */
  readonly summed: number;
  /** 2^rounds channels of a subgroup are added up by shuffles. */
  readonly rounds: number;
  /** Whether the decays of a tile stay in registers beside its states. Otherwise they are computed twice. */
  readonly keep: boolean;
  /** Channels of a workgroup of selective-scan-backward-states.wgsl, which has the same lanes and steps. */
  readonly stateChannels: number;
}

/** Parts of the plan that are forced. */
export interface ScanBackwardVariant {
  /** `false` chooses the general kernel. A layout is taken for calls that the Euler kernel takes. */
  readonly euler?: EulerBackwardLayout | false | undefined;
  /** Steps of a chunk of time, rounded up to whole tiles. The general kernel ignores it: it takes time whole. */
  readonly chunkLength?: number | undefined;
  /** The most rows of the batch that are taken at once. */
  readonly rows?: number | undefined;
}

export interface GeneralBackwardLayout {
  /** The number of vec4s of states that a lane holds. */
  readonly vecsPerLane: number;
  readonly lanes: number;
  readonly workgroup: number;
}

export interface ScanBackwardPlan {
  readonly layout:
    | ({ readonly kernel: 'euler' } & EulerBackwardLayout)
    | ({ readonly kernel: 'general' } & GeneralBackwardLayout);
  /** Channels that a workgroup owns. */
  readonly channels: number;
  /** Steps of a tile of time. */
  readonly steps: number;
  readonly chunks: number;
  readonly chunkLength: number;
}

/** KEPT of selective-scan-backward.wgsl. */
const GENERAL_STEPS = 16;
/** The widest workgroup of either kernel: the states of a tile and all else need some 190 registers a lane. */
const WIDEST = 256;
/** The most states of the Euler kernel. */
const EULER_STATES = 16;
/** Workgroups below which time is cut into chunks: two for each of an H100's 132 multiprocessors. */
const FILLING = 256;
/** Chunks are worth their passes from SHORTEST_CHUNK steps on; beyond LONGEST_CHUNK, more of them even out the load. */
const SHORTEST_CHUNK = 64;
const LONGEST_CHUNK = 1024;

/** Returns the plan, or the reason why no plan fits. */
export function planScanBackward(
  shape: ScanShape,
  limits: ScanLimits,
  variant: ScanBackwardVariant = {},
): ScanBackwardPlan | string {
  const euler = eulerLayout(shape, limits, variant);
  if (euler === undefined) return generalPlan(shape, limits);
  const { length, batch, dim, groups } = shape;
  const { channels, steps } = euler;
  const workgroups = batch * groups * Math.ceil(dim / groups / channels);
  const wanted = variant.chunkLength ?? chunkLengthFor(length, workgroups);
  const chunkLength = Math.min(Math.ceil(wanted / steps), Math.ceil(length / steps)) * steps;
  return {
    layout: { kernel: 'euler', ...euler },
    channels,
    steps,
    chunks: Math.ceil(length / chunkLength),
    chunkLength,
  };
}

function chunkLengthFor(length: number, workgroups: number): number {
  if (workgroups >= FILLING) return length;
  return Math.max(SHORTEST_CHUNK, Math.min(LONGEST_CHUNK, (length * workgroups) / FILLING));
}

function eulerLayout(
  { batch, dim, groups, state, euler }: ScanShape,
  limits: ScanLimits,
  variant: ScanBackwardVariant,
): EulerBackwardLayout | undefined {
  if (!euler || state > EULER_STATES || state % 4 !== 0 || variant.euler === false) return undefined;
  if (variant.euler !== undefined) return fits(variant.euler, limits) ? variant.euler : undefined;
  const lanes = limits.subgroup >= 4 ? 4 : 1;
  const rounds = lanes === 1 ? 0 : Math.log2(Math.min(8, powerOfTwoBelow(limits.subgroup) / lanes));
  // A tile of one group's channels; more lanes would only repeat the last channel. Wide tiles write fewer partial sums
  // of dB and dC. Where they fill the device without chunks, half as wide ones hide more latency, two for one.
  const filled = batch * groups * Math.ceil(dim / groups / 64) >= FILLING;
  const widest = Math.min(lanes === 1 || filled ? 32 : 64, Math.min(limits.workgroup, WIDEST) / lanes);
  const most = Math.max(16, Math.min(widest, 2 ** Math.ceil(Math.log2(dim / groups))));
  const steps = 4 * lanes;
  // A quarter of a tile's steps at once, at the least: each part of a tile has two barriers. Small subgroups leave many
  // sums to workgroup memory, so there the tile of channels is narrower.
  for (let channels = most; channels >= 16; channels /= 2)
    for (let summed = steps; summed >= steps / 4; summed /= 2) {
      const layout = { lanes, perLane: 1, channels, steps, summed, rounds, keep: false, stateChannels: 16 } as const;
      if (fits(layout, limits)) return layout;
    }
  return undefined;
}

function fits(layout: EulerBackwardLayout, { workgroup, memory, subgroup }: ScanLimits): boolean {
  const { lanes, perLane, channels, steps, rounds } = layout;
  return (
    (lanes === 1 && rounds === 0 ? true : Math.max(4, lanes * 2 ** rounds) <= subgroup) &&
    (lanes * channels) / perLane <= workgroup &&
    // Each mark of a tile is staged by one lane.
    steps <= lanes * Math.min(channels / perLane, layout.stateChannels) &&
    eulerBackwardMemory(layout) <= memory
  );
}

/** Bytes of workgroup memory that selective-scan-backward-euler.wgsl takes. */
function eulerBackwardMemory({ perLane, channels, steps, summed, rounds }: EulerBackwardLayout): number {
  const clusters = channels / perLane / 2 ** rounds;
  return 2 * steps * 4 * 16 + 4 * steps + 4 * summed * (clusters * 32 + 1);
}

function generalPlan({ length, state }: ScanShape, limits: ScanLimits): ScanBackwardPlan | string {
  const widest = Math.min(limits.workgroup, WIDEST);
  const quads = Math.ceil(state / 4);
  const vecsPerLane = Math.ceil(quads / widest);
  const lanes = 2 ** Math.ceil(Math.log2(Math.ceil(quads / vecsPerLane)));
  const workgroup = Math.max(lanes, Math.min(widest, 64));
  // What a lane keeps of a tile grows with its states, and beyond this no device has registers or memory for it.
  if (vecsPerLane > MOST_VECS) return `a state of ${state} is more than the ${4 * MOST_VECS * widest} that it keeps`;
  return {
    layout: { kernel: 'general', vecsPerLane, lanes, workgroup },
    channels: workgroup / lanes,
    steps: GENERAL_STEPS,
    chunks: 1,
    chunkLength: Math.ceil(length / GENERAL_STEPS) * GENERAL_STEPS,
  };
}

const MOST_VECS = 4;

function powerOfTwoBelow(value: number): number {
  return 2 ** Math.floor(Math.log2(value));
}
