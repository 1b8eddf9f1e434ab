/** The workspace of a backward scan: one buffer with the parts that lib/scan-backward-args.wgsl lists. */
import type { ScanBackwardPlan } from './selective-scan-backward-plan.ts';

/** The sizes that decide on the parts. */
export interface WorkspaceSizes {
  readonly length: number;
  readonly dim: number;
  readonly state: number;
  readonly groups: number;
  readonly constantB: boolean;
  readonly constantC: boolean;
  readonly resets: boolean;
  readonly initial: boolean;
  readonly last: boolean;
  /** Whether the forward scan kept the states. */
  readonly given: boolean;
}

const PARTS = [
  'A',
  'D',
  'bias',
  'marks',
  'B',
  'C',
  'initial',
  'last',
  'kept',
  'passed',
  'states',
  'adjoints',
  'totals',
  'records',
  'partials',
  'first',
] as const;
type Part = (typeof PARTS)[number];

/** Places and sizes are in floats, for a range of `rows` rows of the batch. */
export interface Workspace {
  readonly rows: number;
  /** Steps of time of all tiles. */
  readonly tiles: number;
  /** Elements of a record. */
  readonly record: number;
  readonly at: Readonly<Record<Part, number>>;
  readonly size: number;
}

export function workspaceOf(sizes: WorkspaceSizes, plan: ScanBackwardPlan, rows: number): Workspace {
  const { length, dim, state, groups, constantB, constantC, resets, initial, last, given } = sizes;
  const { channels, steps, chunks } = plan;
  const tiles = Math.ceil(length / steps);
  const chunked = chunks > 1;
  const record = recordSize(sizes);
  const vectors = dim * state;
  const ofB = rows * length * groups * state;
  const tilesPerGroup = Math.ceil(dim / groups / channels);
  const floats: Readonly<Record<Part, number>> = {
    A: vectors,
    D: dim,
    bias: dim,
    marks: resets ? rows * length : 0,
    B: constantB ? vectors : ofB,
    C: constantC ? vectors : ofB,
    initial: initial && !given ? rows * vectors : 0,
    last: last ? rows * vectors : 0,
    kept: given ? 0 : rows * tiles * vectors,
    passed: chunked && !given ? 4 * rows * tiles * dim : 0,
    states: chunked && !given ? rows * chunks * vectors : 0,
    adjoints: chunked ? rows * chunks * vectors : 0,
    totals: chunked ? 4 * rows * chunks * dim : 0,
    records: rows * chunks * dim * record,
    partials: constantB && constantC ? 0 : 2 * tilesPerGroup * ofB,
    first: rows * vectors,
  };
  const at = {} as Record<Part, number>;
  let size = 0;
  for (const part of PARTS) {
    at[part] = size;
    // Parts begin at multiples of 256 bytes, so that vec4s and lines of the cache are whole.
    size += Math.ceil(floats[part] / 64) * 64;
  }
  return { rows, tiles, record, at, size };
}

/** Elements of a channel's record: dA, dB and dC where they are constant, dD and ddeltaBias, in whole vec4s. */
function recordSize({ state, constantB, constantC }: WorkspaceSizes): number {
  const matrices = 1 + (constantB ? 1 : 0) + (constantC ? 1 : 0);
  return Math.ceil((matrices * state + 2) / 4) * 4;
}

/** The workspace for as many rows of the batch as fit in `most` floats, or undefined where one row does not. */
export function largestWorkspace(
  sizes: WorkspaceSizes,
  plan: ScanBackwardPlan,
  rows: number,
  most: number,
): Workspace | undefined {
  const whole = workspaceOf(sizes, plan, rows);
  if (whole.size <= most) return whole;
  let [fitting, tooMany] = [0, rows];
  while (tooMany - fitting > 1) {
    const middle = Math.floor((fitting + tooMany) / 2);
    if (workspaceOf(sizes, plan, middle).size <= most) fitting = middle;
    else tooMany = middle;
  }
  return fitting === 0 ? undefined : workspaceOf(sizes, plan, fitting);
}
