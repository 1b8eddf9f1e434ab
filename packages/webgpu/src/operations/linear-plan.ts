/** The layout of a product of many rows over the device. docs/performance/h100.md has the measurements. */
import { invalid } from '@mamba/core/driver';
import type { MatrixUnits } from './matrix-units.ts';
import type { ProductVariant } from './product-variant.ts';

/** The sizes of a product: y `[rows, outputs]`, each of it a sum of `depth` products. */
export interface ProductSizes {
  readonly rows: number;
  readonly depth: number;
  readonly outputs: number;
}

/** The operands that lie turned in memory. */
export interface Turned {
  readonly X_TURNED?: boolean | undefined;
  readonly WEIGHT_TURNED?: boolean | undefined;
}

/** Tiles of outputs, large ones where they fill a device. Where there are few tiles, the inputs are cut as well. */
export interface Tiling {
  /** `matrix` runs on matrix units, and `tiled` on float32 lanes. */
  readonly shader: 'matrix' | 'tiled';
  readonly side: number;
  /** Rows of a tile, and outputs of it. */
  readonly extent: 64 | 128;
  /** Parts into which the inputs are cut. Each has some of them. */
  readonly splits: number;
}

interface PlanContext {
  readonly gpu: { readonly maxBinding: number };
  readonly matrixUnits: MatrixUnits | undefined;
  readonly productVariant?: ProductVariant | undefined;
}

/** The fewest inputs worth a part of their own. */
const SHORTEST_SPLIT = 64;
/** Workgroups that an H100 holds at once, two large tiles on each of 132 multiprocessors. */
export const RESIDENT = 264;
/** From how many on large tiles fill a large device. */
const LARGE = 128;
/**
 * The longest part of a sum whose operands lie turned. Workgroups that walk down such columns side by side lose step in
 * long sums, and then fetch the same rows again: on an H100, 3072 × 768 from 16384 rows takes 5.1 ms in 2 parts, 2.1 in
 * 11.
 */
const LONGEST_TURNED = 2048;
const LONGEST_WEIGHT_TURNED = 8192;
/** The fewest rows, and the fewest multiplications, for which a turned copy of a weight is made. */
const FEWEST_TO_TURN = 8192;
const LEAST_TO_TURN = 2 ** 30;

/** @throws MambaError `invalid-argument` where a variant forces tiles that the device does not take */
export function planTiles(
  { gpu, matrixUnits: units, productVariant: forced }: PlanContext,
  sizes: ProductSizes,
  turned: Turned,
): Tiling {
  const { rows, depth, outputs } = sizes;
  if (forced?.extent === 128 && units?.side === 2)
    throw invalid('webgpu.testing.productVariant', 'extent 128', '64, since larger tiles exceed workgroup memory');
  const extent = forced?.extent ?? (units ? filling(sizes, units.side !== 2) : extentOf(sizes, turned));
  const splits =
    forced?.splits ?? Math.min(splitsOf(tilesOf(sizes, extent), depth, turned), Math.floor(depth / SHORTEST_SPLIT));
  const most = Math.floor(gpu.maxBinding / (4 * rows * outputs));
  // Both shaders give each part the same number of slices, so that the last parts may be left with none.
  const slices = Math.ceil(depth / (units || extent === 64 ? 32 : 16));
  const each = Math.ceil(slices / Math.max(1, Math.min(splits, most)));
  return {
    shader: units ? 'matrix' : 'tiled',
    side: (extent / 64) * (units ? 2 : 1),
    extent,
    splits: Math.ceil(slices / each),
  };
}

/**
 * Whether the gradient of x, a product of `depth` terms, takes its weight from a turned copy. Tiles whose operands lie
 * differently branch in every tile: on an H100 the gradient of 16384 rows of 768 inputs, from 3072 outputs, takes 2.5
 * ms in place, and 1.9 with a copy. Steps of 2048 and 4096 rows gained nothing, or lost.
 */
export function turnsWeight(
  { matrixUnits, productVariant: forced }: Pick<PlanContext, 'matrixUnits' | 'productVariant'>,
  { rows, depth, outputs }: ProductSizes,
): boolean {
  if (forced?.turns !== undefined) return forced.turns;
  return matrixUnits === undefined && rows >= FEWEST_TO_TURN && rows * depth * outputs >= LEAST_TO_TURN;
}

function tilesOf({ rows, outputs }: ProductSizes, extent: number): number {
  return Math.ceil(rows / extent) * Math.ceil(outputs / extent);
}

/** Large tiles, where they are allowed and fill the device. */
function filling(sizes: ProductSizes, large: boolean): Tiling['extent'] {
  const halfEmpty = Math.min(sizes.rows, sizes.outputs) <= 64;
  return large && !halfEmpty && tilesOf(sizes, 128) >= LARGE ? 128 : 64;
}

/** The tiles of float32 lanes. */
function extentOf(sizes: ProductSizes, { X_TURNED, WEIGHT_TURNED }: Turned): Tiling['extent'] {
  if (WEIGHT_TURNED !== true) return filling(sizes, true);
  // The gradient of a weight has few tiles, but a long sum, whose parts fill the device. That of an input has many
  // tiles, and small ones wait for each other less.
  return X_TURNED === true && Math.min(sizes.rows, sizes.outputs) > 64 ? 128 : 64;
}

function splitsOf(tiles: number, depth: number, { X_TURNED, WEIGHT_TURNED }: Turned): number {
  const few = Math.round(RESIDENT / tiles);
  if (WEIGHT_TURNED !== true) return few;
  if (X_TURNED !== true) return Math.max(few, Math.ceil(depth / LONGEST_WEIGHT_TURNED));
  const least = Math.max(1, few, Math.ceil(depth / LONGEST_TURNED));
  // The last round of workgroups should be nearly full; more parts cost memory, so they have to gain something.
  let splits = least;
  for (let more = least; more <= least + 4; more++)
    if (fullness(tiles * more) > fullness(tiles * splits) + 0.02) splits = more;
  return splits;
}

/** The share of the device's time that this many workgroups fill. */
function fullness(workgroups: number): number {
  return workgroups / (Math.ceil(workgroups / RESIDENT) * RESIDENT);
}
