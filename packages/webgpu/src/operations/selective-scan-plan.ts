/**
 * How one selective scan is laid out over the device: a small rule from the shape and the adapter's limits.
 *
 * A scan has batch · dim channels of `state` states. A channel is `lanes` lanes of some states each, and time may be cut into chunks,
 * which fill a device that has few channels at the price of reading delta and u, and of making the states, twice. docs/performance/
 * holds what was measured.
 */

/** Forces a part of the plan. */
export interface ScanVariant {
  /** States that a lane holds: 1, or a multiple of 4. */
  readonly statesPerLane?: number | undefined;
  /** Chunks of time; more than 1 takes three passes. Not for bilinear, whose chunks have no decay of one number. */
  readonly chunks?: number | undefined;
  /** How the lanes of a channel add up. */
  readonly reduce?: 'workgroup' | 'subgroup' | undefined;
  /** Parallel over time inside a workgroup, in one pass: where the call is `plain`. Not together with the others. */
  readonly tile?: boolean | undefined;
}

export interface ScanShape {
  readonly batch: number;
  readonly length: number;
  readonly dim: number;
  readonly state: number;
  readonly groups: number;
  readonly bilinear: boolean;
  /** Euler's discretisation, B and C that vary, no resets: what selective-scan-tile.wgsl takes. */
  readonly plain: boolean;
}

export interface ScanLimits {
  /** The widest workgroup. */
  readonly workgroup: number;
  /** Bytes of workgroup memory. */
  readonly memory: number;
  /** The smallest subgroup; 0 where there are none. */
  readonly subgroup: number;
}

export interface ScanPlan {
  /** selective-scan-tile.wgsl, which has one layout: of the rest only `chunks`, 1, matters then. */
  readonly tile: boolean;
  /** Whether a lane's states come one by one or by fours. */
  readonly lane: 'single' | 'quad';
  /** How many of those a lane holds. */
  readonly groups: number;
  readonly lanes: number;
  readonly workgroup: number;
  readonly reduce: 'workgroup' | 'subgroup';
  /** Time steps staged at once. */
  readonly steps: number;
  readonly chunks: number;
  readonly chunkLength: number;
}

/** States that a lane holds: sums over lanes cost more than what parallelism they give, at every number of channels. */
const STATES_PER_LANE = 16;
/** Channels from which time is left whole; below, channels · chunks to aim for, and the shortest chunk worth its two extra
 * passes: shorter ones where there are few, which one after another are handed their state quickly. */
const WHOLE_CHANNELS = 32_768;
const CHUNKED_CHANNELS = 262_144;
const SHORTEST_CHUNK = 64;
const SHORTEST_CHUNK_OF_FEW = 32;
/** Up to so many channels and steps, a workgroup that is parallel over time beats three passes. */
const TILE_CHANNELS = 4096;
const TILE_LENGTH = 1024;
/** What that workgroup takes. */
export const TILE = { channels: 8, workgroup: 128, states: 16, memory: 17_920 } as const;
/** Workgroup memory to stay within, so that several workgroups share a core. */
const MEMORY = 16_384;

/** The plan, or the reason why no plan fits. */
export function planScan(shape: ScanShape, limits: ScanLimits, variant: ScanVariant = {}): ScanPlan | string {
  const { batch, dim, length, state } = shape;
  const channels = batch * dim;
  const wanted = variant.statesPerLane ?? STATES_PER_LANE;
  let perLane = wanted < 4 || state === 1 ? 1 : Math.min(wanted, 4 * Math.ceil(state / 4));
  // A channel's lanes must be one workgroup.
  while (Math.ceil(state / perLane) > limits.workgroup && perLane < 16) perLane = perLane === 1 ? 4 : 16;
  const lane = perLane === 1 ? 'single' : 'quad';
  const groups = Math.ceil(perLane / 4);
  const lanes = powerOfTwo(Math.ceil(state / perLane));
  if (lanes > limits.workgroup)
    return `a state of ${state} needs workgroups of ${lanes} lanes, and there are ${limits.workgroup} here`;
  const workgroup = Math.min(limits.workgroup, Math.max(lanes, lanes === 1 ? 64 : 128));
  const shuffles = lanes > 1 && lanes <= limits.subgroup;
  const reduce = variant.reduce ?? (shuffles ? 'subgroup' : 'workgroup');
  if (reduce === 'subgroup' && lanes > 1 && !shuffles)
    return `${lanes} lanes a channel cannot add up by shuffles in subgroups of ${limits.subgroup}`;

  // B and C twice: the next tile's arrive while this one's are read.
  const bytesPerStep = 4 * (4 * lanes * perLane + (lanes === 1 ? 0 : 2 * (workgroup / lanes) + workgroup));
  const held = Math.floor(Math.min(MEMORY, limits.memory) / bytesPerStep);
  if (held < 1)
    return `a state of ${state} needs ${bytesPerStep} bytes of workgroup memory, and there are ${limits.memory}`;

  // A power of two: a tile is some whole blocks of unrolled steps.
  const steps = Math.min(16, 2 ** Math.floor(Math.log2(held)));

  const tile =
    shape.plain &&
    state <= TILE.states &&
    limits.workgroup >= TILE.workgroup &&
    limits.memory >= TILE.memory &&
    (variant.tile ?? (Object.keys(variant).length === 0 && channels <= TILE_CHANNELS && length <= TILE_LENGTH));
  const chunks = shape.bilinear || tile ? 1 : (variant.chunks ?? chunksFor(channels, length));
  const chunkLength = Math.ceil(length / Math.min(chunks, length));
  return {
    tile,
    lane,
    groups,
    lanes,
    workgroup,
    reduce,
    steps,
    chunks: Math.ceil(length / chunkLength),
    chunkLength,
  };
}

function chunksFor(channels: number, length: number): number {
  if (channels >= WHOLE_CHANNELS) return 1;
  const shortest = length < 2048 ? SHORTEST_CHUNK_OF_FEW : SHORTEST_CHUNK;
  return Math.max(1, Math.min(Math.ceil(CHUNKED_CHANNELS / channels), Math.floor(length / shortest)));
}

function powerOfTwo(value: number): number {
  return 2 ** Math.ceil(Math.log2(value));
}
