/**
 * The layout of Mamba-2's scan over the device, by a small rule from the shape.
 *
 * A chunk of a head is a workgroup's work, or that of a few. Longer chunks write, carry and read fewer states, and
 * multiply more: for P channels and N states a step of a head takes P (2 N + chunk / 2) multiply-adds and
 * 16 P N / chunk bytes of states. On an H100 chunks of 64 steps were faster than longer ones from 1,536 to 24,576
 * chunks of heads, so longer ones are taken only where the states of a sequence would not fit in a binding.
 */

/** Parts of the plan that are forced. */
export interface SsdVariant {
  /** Steps of a chunk. */
  readonly chunk?: SsdChunk | undefined;
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
  /** Floats of the states of all chunks of these rows. */
  readonly states: number;
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

/** @param most Floats of the largest binding. @returns the plan, or the reason why there is none. */
export function planSsd(shape: SsdShape, most: number, variant: SsdVariant = {}): SsdPlan | string {
  const { batch, length } = shape;
  for (const chunk of variant.chunk === undefined ? CHUNKS : [variant.chunk]) {
    const plan = largestPlan(shape, chunk, Math.min(batch, variant.rows ?? batch), most);
    if (plan !== undefined) return plan;
  }
  return `the states of one sequence of ${length} steps take more than the ${4 * most} bytes that a shader may bind here`;
}

/** The plan of as many rows as fit; undefined where one row does not. */
export function largestPlan(shape: SsdShape, chunk: SsdChunk, rows: number, most: number): SsdPlan | undefined {
  const { length, heads, headDim, state } = shape;
  const chunks = Math.ceil(length / chunk);
  for (let some = rows; some >= 1; some = Math.floor(some / 2)) {
    const work = workOf(shape, chunk, some);
    const states = some * chunks * heads * headDim * state;
    if (work.size <= most && states <= most) return { chunk, chunks, rows: some, work, states };
  }
  return undefined;
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
