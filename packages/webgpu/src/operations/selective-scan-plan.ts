/**
 * How one selective scan is laid out over the device: a small rule from the shape and the adapter's limits.
 *
 * A scan has batch · dim channels of `state` states. A channel is some lanes, which share its states, and time may be
 * cut into chunks, which fill a device that has few channels at the price of reading delta and u, and of making the
 * states, twice. docs/performance/ holds what was measured.
 */

/** Forces a part of the plan. */
export interface ScanVariant {
  /** States that a lane of selective-scan.wgsl holds: 1, or a multiple of 4. */
  readonly statesPerLane?: number | undefined;
  /** Chunks of time; more than 1 takes three passes. Not for bilinear, whose chunks have no decay of one number. */
  readonly chunks?: number | undefined;
  /** How the lanes of a channel of selective-scan.wgsl add up. */
  readonly reduce?: 'workgroup' | 'subgroup' | undefined;
  /**
   * The layout of selective-scan-euler.wgsl, for calls that it takes; `false` keeps them from it, as the two others do.
   */
  readonly euler?: EulerLayout | false | undefined;
}

export interface ScanShape {
  readonly batch: number;
  readonly length: number;
  readonly dim: number;
  readonly state: number;
  readonly groups: number;
  readonly bilinear: boolean;
  /** Euler's discretisation, B and C that vary and lie in vec4s, no resets: what selective-scan-euler.wgsl takes. */
  readonly euler: boolean;
}

export interface ScanLimits {
  /** The widest workgroup. */
  readonly workgroup: number;
  /** Bytes of workgroup memory. */
  readonly memory: number;
  /** The smallest subgroup; 0 where there are none. */
  readonly subgroup: number;
}

/** One workgroup of selective-scan-euler.wgsl. */
export interface EulerLayout {
  /** Lanes a channel. */
  readonly lanes: 1 | 2 | 4;
  readonly channels: number;
  /** Stretches of a tile of time that are made side by side. */
  readonly slices: number;
  /** Of a slice; a multiple of `lanes`. */
  readonly steps: number;
}

export interface GeneralLayout {
  /** Whether a lane's states come one by one or by fours. */
  readonly vec: 'single' | 'quad';
  /** How many of those a lane holds. */
  readonly vecsPerLane: number;
  readonly lanes: number;
  readonly workgroup: number;
  readonly reduce: 'workgroup' | 'subgroup';
  /** Time steps staged at once. */
  readonly steps: number;
}

export interface ScanPlan {
  readonly layout: ({ readonly kernel: 'euler' } & EulerLayout) | ({ readonly kernel: 'general' } & GeneralLayout);
  /** Channels that a workgroup owns. */
  readonly channels: number;
  readonly chunks: number;
  readonly chunkLength: number;
}

/** States that a lane of the general kernel holds: sums over lanes cost more than what parallelism they give. */
const STATES_PER_LANE = 16;
/**
 * Channels from which time is left whole; below, channels · chunks to aim for, and the shortest chunk worth its two
 * extra passes: shorter ones where there are few, which one after another are handed their state quickly.
 */
const WHOLE_CHANNELS = 32_768;
const CHUNKED_CHANNELS = 262_144;
const SHORTEST_CHUNK = 64;
const SHORTEST_CHUNK_OF_FEW = 32;
/** The widest workgroup of the general kernel. */
const WIDEST = 256;
/** Workgroup memory to stay within, so that several workgroups share a core. */
const MEMORY = 16_384;
/** The most states of the Euler kernel. */
const EULER_STATES = 16;

/** The plan, or the reason why no plan fits. */
export function planScan(shape: ScanShape, limits: ScanLimits, variant: ScanVariant = {}): ScanPlan | string {
  const { batch, dim, length } = shape;
  const cut = (layout: ScanPlan['layout'], channels: number, wanted: number): ScanPlan => {
    const chunkLength = Math.ceil(length / Math.min(wanted, length));
    return { layout, channels, chunks: Math.ceil(length / chunkLength), chunkLength };
  };
  const euler = planEuler(shape, limits, variant);
  if (euler !== undefined) return cut({ kernel: 'euler', ...euler.layout }, euler.layout.channels, euler.chunks);
  const layout = planGeneral(shape, limits, variant);
  if (typeof layout === 'string') return layout;
  const chunks = shape.bilinear ? 1 : (variant.chunks ?? chunksFor(batch * dim, length));
  return cut({ kernel: 'general', ...layout }, layout.workgroup / layout.lanes, chunks);
}

/** Workgroup memory that selective-scan-euler.wgsl takes. */
function eulerMemory({ lanes, channels, slices, steps }: EulerLayout): number {
  const exchanged = slices === 1 ? 1 : channels * lanes;
  return 16 * ((slices === 1 ? 4 : 6) * 4 * slices * steps + 4 * exchanged * (4 / lanes) * slices);
}

function planEuler(
  { batch, length, dim, state, euler }: ScanShape,
  limits: ScanLimits,
  variant: ScanVariant,
): { layout: EulerLayout; chunks: number } | undefined {
  if (!euler || state > EULER_STATES || state % 4 !== 0) return undefined;
  if (variant.euler === false || variant.statesPerLane !== undefined || variant.reduce !== undefined) return undefined;
  const fits = (layout: EulerLayout) =>
    (layout.lanes === 1 || limits.subgroup >= 4) &&
    layout.lanes * layout.channels * layout.slices <= limits.workgroup &&
    eulerMemory(layout) <= limits.memory;
  if (variant.euler !== undefined)
    return fits(variant.euler) ? { layout: variant.euler, chunks: variant.chunks ?? 1 } : undefined;
  if (variant.chunks !== undefined) return undefined;
  const channels = batch * dim;
  const whole = (layouts: readonly EulerLayout[]) => {
    const layout = layouts.find(fits);
    return layout && { layout, chunks: 1 };
  };
  if (channels > PAIR_CHANNELS) return whole([SINGLE, PAIRS]);
  if (channels > QUAD_CHANNELS) return whole([PAIRS, SINGLE]);
  if (channels > FEW_CHANNELS) return whole([QUADS]);
  if (length <= 512 + 2 * channels) return whole(SLICED);
  return fits(PAIRS) ? { layout: PAIRS, chunks: eulerChunks(channels, length) } : undefined;
}

/**
 * Of how many channels, batch included, how many are what: measured on an H100
 * (docs/performance/results/h100-scan-plain.json).
 */
const FEW_CHANNELS = 2560;
const QUAD_CHANNELS = 8192;
const PAIR_CHANNELS = 49_152;
/** One lane a channel needs no subgroups. */
const SINGLE: EulerLayout = { lanes: 1, channels: 64, slices: 1, steps: 8 };
const PAIRS: EulerLayout = { lanes: 2, channels: 16, slices: 1, steps: 16 };
const QUADS: EulerLayout = { lanes: 4, channels: 8, slices: 1, steps: 16 };
/**
 * Few channels and a sequence that is not long for them: workgroups parallel over time beat three passes. The first
 * that fits.
 */
const SLICED: readonly EulerLayout[] = [
  { lanes: 4, channels: 12, slices: 8, steps: 8 },
  { lanes: 4, channels: 8, slices: 4, steps: 8 },
  { lanes: 4, channels: 8, slices: 4, steps: 4 },
];

/**
 * Enough chunks to fill the device; of 128 steps, so that states are a small part of the traffic, to 512, but few to
 * carry through.
 */
function eulerChunks(channels: number, length: number): number {
  const filling = (length * channels) / 16_384;
  return Math.ceil(length / Math.max(128, Math.min(512, filling), length / 256));
}

function planGeneral({ state }: ScanShape, limits: ScanLimits, variant: ScanVariant): GeneralLayout | string {
  const wanted = variant.statesPerLane ?? STATES_PER_LANE;
  const widest = Math.min(limits.workgroup, WIDEST);
  let perLane = wanted < 4 || state === 1 ? 1 : Math.min(wanted, 4 * Math.ceil(state / 4));
  // A channel's lanes must be one workgroup.
  while (Math.ceil(state / perLane) > widest && perLane < 16) perLane = perLane === 1 ? 4 : 16;
  const vec = perLane === 1 ? 'single' : 'quad';
  const vecsPerLane = Math.ceil(perLane / 4);
  const lanes = powerOfTwo(Math.ceil(state / perLane));
  if (lanes > widest) return `a state of ${state} needs workgroups of ${lanes} lanes, and there are ${widest} here`;
  const workgroup = Math.min(widest, Math.max(lanes, lanes === 1 ? 64 : 128));
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
  return { vec, vecsPerLane, lanes, workgroup, reduce, steps };
}

function chunksFor(channels: number, length: number): number {
  if (channels >= WHOLE_CHANNELS) return 1;
  const shortest = length < 2048 ? SHORTEST_CHUNK_OF_FEW : SHORTEST_CHUNK;
  return Math.max(1, Math.min(Math.ceil(CHUNKED_CHANNELS / channels), Math.floor(length / shortest)));
}

function powerOfTwo(value: number): number {
  return 2 ** Math.ceil(Math.log2(value));
}
