/**
 * The layout of a selective scan over the device, by a small rule from the shape and the adapter's limits.
 *
 * A scan has batch · dim channels of `state` states. The lanes of a channel share its states. Time may be cut into
 * chunks, which fill the device where there are few channels; the price is that delta and u are read twice, and states
 * computed twice. docs/kernels/selective-scan.md tells how the rule came about, and docs/performance/ holds what was
 * measured.
 */

/** Parts of the plan that are forced. */
export interface ScanVariant {
  /** States that a lane of selective-scan.wgsl holds: 1, or a multiple of 4. */
  readonly statesPerLane?: number | undefined;
  /**
   * Chunks of time; more than 1 takes three passes. Bilinear ignores it, since the decay of its chunks is not one
   * number.
   */
  readonly chunks?: number | undefined;
  /** The way in which lanes of a channel of selective-scan.wgsl are summed. */
  readonly reduce?: 'workgroup' | 'subgroup' | undefined;
  /**
   * The layout of selective-scan-euler.wgsl, for calls that it takes. `false`, `statesPerLane` and `reduce` choose the
   * general kernel.
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
  /** Steps from one kept state to the next; undefined where none are kept. */
  readonly keptSteps?: number | undefined;
  /**
   * Whether selective-scan-euler.wgsl takes the call: Euler's discretisation, B and C that vary and lie in vec4s, no
   * resets.
   */
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

/** The layout of a workgroup of selective-scan-euler.wgsl. */
export interface EulerLayout {
  /** Lanes a channel. */
  readonly lanes: 1 | 2 | 4;
  readonly channels: number;
  /** Slices of a tile of time that are computed side by side. */
  readonly slices: number;
  /** Steps of a slice; a multiple of `lanes`. */
  readonly steps: number;
}

export interface GeneralLayout {
  /** Whether a lane holds states one by one or in fours. */
  readonly vec: 'single' | 'quad';
  /** The number of these vectors that a lane holds. */
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
  /** Where states are kept, a multiple of the steps between them. */
  readonly chunkLength: number;
}

/** States that a lane of the general kernel holds. Sums over lanes cost more than their parallelism gains. */
const STATES_PER_LANE = 16;
/**
 * The general kernel leaves time whole from WHOLE_CHANNELS channels on. Below, it aims at CHUNKED_CHANNELS channels ·
 * chunks, with chunks of SHORTEST_CHUNK steps at least, which pay for two extra passes. Short sequences have few
 * chunks, which the carry passes quickly, so theirs may be shorter.
 */
const WHOLE_CHANNELS = 32_768;
const CHUNKED_CHANNELS = 262_144;
const SHORTEST_CHUNK = 64;
const SHORTEST_CHUNK_OF_FEW = 32;
/** The widest workgroup of the general kernel. */
const WIDEST = 256;
/** Bytes of workgroup memory to stay within, so that several workgroups share a core. */
const MEMORY = 16_384;
/** The most states of the Euler kernel. */
const EULER_STATES = 16;

/** Returns the plan, or the reason why no plan fits. */
export function planScan(shape: ScanShape, limits: ScanLimits, variant: ScanVariant = {}): ScanPlan | string {
  const { batch, dim, length } = shape;
  const cut = (layout: ScanPlan['layout'], channels: number, wanted: number): ScanPlan => {
    const { keptSteps = 1 } = shape;
    const chunkLength = Math.ceil(length / Math.min(wanted, length) / keptSteps) * keptSteps;
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
 * Limits of the layouts, in channels (batch included), as measured on an H100
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
 * Layouts for few channels and short sequences, of which the first that fits is taken: workgroups that are parallel
 * over time beat three passes there.
 */
const SLICED: readonly EulerLayout[] = [
  { lanes: 4, channels: 12, slices: 8, steps: 8 },
  { lanes: 4, channels: 8, slices: 4, steps: 8 },
  { lanes: 4, channels: 8, slices: 4, steps: 4 },
];

/**
 * The number of chunks that fills the device. Chunks have 128 to 512 steps, so that states are a small part of the
 * traffic, or more where there would be over 256 of them to carry through.
 */
function eulerChunks(channels: number, length: number): number {
  const filling = (length * channels) / 16_384;
  return Math.ceil(length / Math.max(128, Math.min(512, filling), length / 256));
}

function planGeneral({ state }: ScanShape, limits: ScanLimits, variant: ScanVariant): GeneralLayout | string {
  const wanted = variant.statesPerLane ?? STATES_PER_LANE;
  const widest = Math.min(limits.workgroup, WIDEST);
  let perLane = wanted < 4 || state === 1 ? 1 : Math.min(wanted, 4 * Math.ceil(state / 4));
  // The lanes of a channel must fit in one workgroup.
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

  // B and C have memory for two tiles: the next tile arrives while this one is read.
  const bytesPerStep = 4 * (4 * lanes * perLane + (lanes === 1 ? 0 : 2 * (workgroup / lanes) + workgroup));
  const held = Math.floor(Math.min(MEMORY, limits.memory) / bytesPerStep);
  if (held < 1)
    return `a state of ${state} needs ${bytesPerStep} bytes of workgroup memory, and there are ${limits.memory}`;

  // A power of two, so that a tile is a whole number of unrolled blocks.
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
