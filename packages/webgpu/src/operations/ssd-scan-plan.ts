/**
 * The layout of Mamba-2's scan over the device, by a small rule from the shape.
 *
 * Where channels and states are read in vec4s, the states before all chunks are made by workgroups that each take a
 * head through a segment of chunks. As many segments are made as fill the device: a single one needs no carry from
 * segment to segment. For P channels and N states a step of a head takes P (2 N + 9 chunk / 16) multiply-adds and
 * 8 P N / chunk bytes of states, which is balanced for chunks of 128 steps; longer ones are taken only where the states
 * of a sequence would not fit in a binding. Other shapes have chunks from 64 steps on, each a segment.
 */

/** Parts of the plan that are forced. */
export interface SsdVariant {
  /** Steps of a chunk. */
  readonly chunk?: SsdChunk | undefined;
  /** Segments of a sequence, where states are carried by segments. */
  readonly segments?: number | undefined;
  /** Most rows of the batch that are computed at once. */
  readonly rows?: number | undefined;
  /** Whether calls of few steps are computed in chunks too. */
  readonly chunked?: boolean | undefined;
}

export type SsdChunk = 64 | 128 | 256;

export interface SsdShape {
  readonly batch: number;
  readonly length: number;
  readonly heads: number;
  readonly headDim: number;
  readonly groups: number;
  readonly state: number;
  /** Elements of D; 0 where there is none. */
  readonly skips: number;
  readonly resets: boolean;
}

export interface SsdPlan {
  readonly chunk: SsdChunk;
  readonly chunks: number;
  /** Rows of the batch that are computed at once, since their states fit in one binding. */
  readonly rows: number;
  readonly work: SsdWork;
  /** Floats of the states of all chunks of these rows, and of their segments. */
  readonly states: number;
  /** Where states are carried by segments; undefined where they are carried from chunk to chunk. */
  readonly segments: SsdSegments | undefined;
}

/** Segments, and places in the buffer that lib/ssd-segments.wgsl describes. */
export interface SsdSegments {
  readonly count: number;
  readonly chunks: number;
  /** In rows of a matrix. */
  readonly ends: number;
  /** In floats. */
  readonly through: number;
}

/** Places in the buffer that lib/ssd-args.wgsl describes, and its size, in floats. */
export interface SsdWork {
  readonly D: number;
  readonly bias: number;
  readonly marks: number;
  readonly steps: number;
  readonly gram: number;
  readonly size: number;
}

/** Most steps of a call that is computed as a recurrence, in one dispatch. */
export const FEW_STEPS = 4;
const CHUNKS: readonly SsdChunk[] = [64, 128, 256];
/** Workgroups that an H100 holds at once: three of the kernel of segments on each of 132 multiprocessors. */
const FILLING = 396;

/** Whether channels and states are read in vec4s. */
export function inQuads({ headDim, state }: Pick<SsdShape, 'headDim' | 'state'>): boolean {
  return headDim % 4 === 0 && state % 4 === 0;
}

/** @param most Floats of the largest binding. @returns the plan, or the reason why there is none. */
export function planSsd(shape: SsdShape, most: number, variant: SsdVariant = {}): SsdPlan | string {
  const { batch, length } = shape;
  const quads = inQuads(shape);
  for (const chunk of CHUNKS) {
    // Tiles of outputs have 128 steps.
    if (chunk !== (variant.chunk ?? chunk) || (quads && chunk === 64)) continue;
    const rows = Math.min(batch, variant.rows ?? batch);
    const plan = largestPlan(shape, chunk, rows, most, quads ? { segments: variant.segments } : undefined);
    if (plan !== undefined) return plan;
  }
  return `the states of one sequence of ${length} steps take more than the ${4 * most} bytes that a shader may bind here`;
}

/** The plan of as many rows as fit; undefined where one row does not. With `carried` it has segments. */
export function largestPlan(
  shape: SsdShape,
  chunk: SsdChunk,
  rows: number,
  most: number,
  carried?: Pick<SsdVariant, 'segments'>,
): SsdPlan | undefined {
  const { length, heads, headDim, state } = shape;
  const chunks = Math.ceil(length / chunk);
  for (let some = rows; some >= 1; some = Math.floor(some / 2)) {
    const work = workOf(shape, chunk, some);
    const segments = carried && segmentsOf(shape, chunks, some, carried.segments);
    const ends = some * chunks * heads * state;
    const states = segments && segments.count > 1 ? segments.through + 4 * some * chunks * heads : ends * headDim;
    if (work.size <= most && states <= most) return { chunk, chunks, rows: some, work, states, segments };
  }
  return undefined;
}

function segmentsOf(shape: SsdShape, chunks: number, rows: number, forced: number | undefined): SsdSegments {
  const { heads, headDim, state } = shape;
  const workgroups = rows * heads * Math.ceil(headDim / 64) * Math.ceil(state / 128);
  const wanted = Math.max(1, Math.min(chunks, forced ?? Math.floor(FILLING / workgroups)));
  const each = Math.ceil(chunks / wanted);
  const count = Math.ceil(chunks / each);
  const ends = rows * chunks * heads * state;
  return { count, chunks: each, ends, through: (ends + rows * count * heads * state) * headDim };
}

function workOf(shape: SsdShape, chunk: SsdChunk, rows: number): SsdWork {
  const { length, heads, groups } = shape;
  const chunks = Math.ceil(length / chunk);
  const { size, ...constants } = constantsOf(shape, rows);
  const steps = size;
  const gram = steps + wholeLines(4 * rows * chunks * heads * chunk);
  return { ...constants, steps, gram, size: gram + rows * chunks * groups * chunk * chunk };
}

/** The places of A, D, bias and marks, which begin the buffer, and their size. */
export function constantsOf({ length, heads, skips, resets }: SsdShape, rows: number) {
  const D = wholeLines(heads);
  const bias = D + wholeLines(skips);
  const marks = bias + wholeLines(heads);
  return { D, bias, marks, size: marks + (resets ? wholeLines(rows * length) : 0) };
}

/** Floats in whole lines of 256 bytes. */
export function wholeLines(floats: number): number {
  return Math.ceil(floats / 64) * 64;
}
