import type { Activation } from '@mamba/core';
import type { DeviceTensor, LinearCall } from '@mamba/core/driver';
import { linearMatrix, linearSum, linearVector, linear as tiled } from '../generated/index.ts';
import { type Allocator, type Gpu, wholeRange } from '../gpu/gpu.ts';
import { bindingRefusal, workgroupsRefusal } from '../gpu/limits.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { FORMATS, hasScales, rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import type { KernelContext } from './kernel-context.ts';
import { type ProductSizes, planTiles, RESIDENT, type Tiling, type Turned } from './linear-plan.ts';
import { ACTIVATIONS } from './multiply.ts';
import type { Stored } from './stored.ts';

export function linear(
  kernels: KernelContext,
  { x, weight, bias, rows, inputs, outputs }: LinearCall<DeviceTensor<Storage>>,
): Storage {
  return kernels.gpu.allocating((allocator) => {
    const y = allocator.result(4 * rows * outputs, 'linear');
    project(kernels, weight.storage, {
      x: rangeOf(x),
      rows,
      inputs,
      outputs,
      bias: bias && rangeOf(bias),
      y: wholeRange(y),
    });
    return unsplitStorage(y);
  });
}

export interface Projection {
  readonly x: BufferRange;
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
  /** Elements from one row of x to the next; `xOffset` is the place of the first one. Default: dense. */
  readonly xRow?: number | undefined;
  readonly xOffset?: number | undefined;
  readonly y: BufferRange;
  /** Elements from one row of y to the next; `yOffset` is the place of the first one, in a bias too. Default: dense. */
  readonly yRow?: number | undefined;
  readonly yOffset?: number | undefined;
  readonly bias?: BufferRange | undefined;
  /** Whether the product is added to y. */
  readonly accumulate?: boolean | undefined;
  /** How x and y are stored; floats by default. Halves are for products that `multipliesHalves`. */
  readonly stored?: StoredOperands | undefined;
  /** Applied to the product and its bias; for few rows only. Default: none. */
  readonly activation?: Activation | undefined;
  /** The norm that is applied to x first, RMS by default; for few rows only, and a LayerNorm where `centersInputs`. */
  readonly norm?: InputNorm | undefined;
}

export interface InputNorm {
  readonly kind?: 'rms' | 'layer' | undefined;
  readonly weight: BufferRange;
  /** The bias of a LayerNorm lies behind its weight, in the same buffer. */
  readonly bias?: BufferRange | undefined;
  readonly eps: number;
}

/**
 * Most rows of x for which one group of lanes for each output is faster than tiles. The weights are read once for each
 * row, from cache after the first.
 */
export const VECTOR_ROWS = 8;

/**
 * Whether a product should apply a LayerNorm to x itself. Each workgroup reads its row of x for the moments first, so
 * this pays where there are few. The bound is an estimate that nobody has timed: a dispatch between two that wait takes
 * an H100 2 µs and more, and a product of this size less than 1 µs more.
 */
export function centersInputs({ rows, inputs, outputs }: Pick<Projection, 'rows' | 'inputs' | 'outputs'>): boolean {
  return rows <= VECTOR_ROWS && inputs % 32 === 0 && rows * inputs * outputs <= 2 ** 22;
}

/**
 * The outputs that a group of lanes takes at once, so that they share its loads of x: a load of q8 meets four of them,
 * one of q4 eight. On an H100 q4 from 2560 to 50280 takes 135 µs an output at a time, 75 by twos, and 69 by
 * fours; from 5120 to 2560 it takes 15, 11 and 15.
 */
function togetherOf(format: Storage['format'], outputs: number): 1 | 2 | 4 {
  if (!hasScales(format) || outputs < 2048) return 1;
  return format === 'q4' && outputs >= 8192 ? 4 : 2;
}

/** y = x weightᵀ + bias, with one dispatch for each part of the matrix. */
export function project(kernels: KernelContext, weight: Storage, call: Projection): void {
  const { gpu } = kernels;
  const { inputs, outputs, rows, xRow = inputs, xOffset = 0, yRow = outputs, yOffset = 0, bias, norm } = call;
  const { accumulate = false, stored = FLOATS, activation = 'none' } = call;
  const format = FORMATS[weight.format as keyof typeof FORMATS];
  const vector = rows <= VECTOR_ROWS;
  for (const { firstRow, rows: most, values, scales = gpu.unusedInput } of weight.parts) {
    const part = Math.min(most, outputs - firstRow);
    const common = { inputs, outputs: part, xRow, xOffset, yRow, yOffset: yOffset + firstRow };
    const bindings = { x: call.x, weight: values, scales, bias: bias ?? gpu.unusedInput, y: call.y };
    const overrides = { FORMAT: format, BIAS: bias !== undefined, ACCUMULATE: accumulate };
    if (vector) {
      const { lanes, link, workgroup: alone } = laneGroups(gpu, inputs);
      const together = togetherOf(weight.format, part);
      const shared = gpu.workgroup(lanes * sharing(part / together, lanes));
      const meeting = meetingOf(gpu, weight.format, { inputs, workgroup: shared, norm: norm !== undefined });
      const centered = norm?.kind === 'layer';
      const rms = norm !== undefined && !centered;
      const workgroup = meeting.link === 'staged' ? shared : alone;
      const [across, down] = gpu.grid(Math.ceil(part / ((workgroup / lanes) * together)));
      gpu.dispatch(linearVector, {
        link: `${meeting.link}-${link}-${centered ? 'centered' : 'stored'}`,
        constants: {
          TOGETHER: together,
          LOADS: rowLoads(weight.format, inputs, lanes, 8 / together),
          STAGED: meeting.staged,
        },
        overrides: {
          ...overrides,
          ALIGNED: aligned(inputs, xRow, xOffset, meeting.unit),
          WORKGROUP: workgroup,
          LANES: lanes,
          NORM: rms,
          SQUARES: rms,
          ACTIVATION: ACTIVATIONS[activation],
        },
        bindings: { ...bindings, norm: norm === undefined ? gpu.unusedInput : normRange(norm) },
        uniforms: { ...common, eps: norm?.eps ?? 0, biasAt: norm === undefined ? 0 : biasOffset(norm) / 16, zero: 0 },
        workgroups: [across, down, rows],
      });
    } else {
      const ALIGNED = aligned(inputs, xRow, xOffset, 4);
      multiplyTiles(kernels, { ...overrides, ALIGNED }, bindings, { ...common, depth: inputs, rows }, stored);
    }
  }
}

/**
 * Whether products of this many rows read x and write y in halves: those on matrix units, which round x to halves
 * anyway. Rows of x have to be multiples of eight.
 */
export function multipliesHalves({ matrixUnits }: KernelContext, rows: number): boolean {
  return matrixUnits !== undefined && !matrixUnits.pairs && rows > VECTOR_ROWS;
}

/** The weight of a norm, and the bias behind it. */
function normRange(norm: InputNorm): BufferRange {
  return norm.bias === undefined ? norm.weight : { ...norm.weight, size: biasOffset(norm) + norm.bias.size };
}

function biasOffset({ weight, bias }: InputNorm): number {
  return bias === undefined ? 0 : bias.offset - weight.offset;
}

/** Most lanes of a workgroup that shares x. */
const SHARING_LANES = 256;

/** Outputs of a workgroup that shares x, where a device should still be full of workgroups. */
function sharing(outputs: number, lanes: number): number {
  return Math.min(SHARING_LANES / lanes, 2 ** Math.floor(Math.log2(Math.max(1, outputs / RESIDENT))));
}

/** The reason why a product of these sizes cannot run on this device, although x fits. */
export function projectionRefusal(gpu: Gpu, rows: number, outputs: number): string | undefined {
  return bindingRefusal(gpu, 'the result', rows * outputs) ?? workgroupsRefusal(gpu, 'rows', Math.ceil(rows / 64));
}

/** The uniforms of linear.wgsl. */
export interface ProductUniforms extends ProductSizes {
  /** Columns of the weights as they are stored. */
  readonly inputs: number;
  readonly xRow: number;
  readonly xOffset: number;
  readonly yRow: number;
  readonly yOffset: number;
}

/** The overrides of linear.wgsl. An operand that is turned lies as `[depth, rows]` or `[depth, outputs]`. */
export interface ProductOverrides extends Turned {
  readonly FORMAT: number;
  readonly ALIGNED: boolean;
  readonly BIAS: boolean;
  readonly ACCUMULATE: boolean;
}

export interface ProductBindings extends Readonly<Record<'x' | 'weight' | 'scales' | 'bias' | 'y', BufferRange>> {
  /** The largest magnitude of x, where x may be too small for halves. Only matrix units look at it. */
  readonly largest?: BufferRange | undefined;
}

/** How the activations of a product are stored. */
export interface StoredOperands {
  readonly x: Stored;
  readonly y: Stored;
}

const FLOATS: StoredOperands = { x: 'floats', y: 'floats' };

/** A product of two matrices in tiles, with the sum of its parts where the depth is cut. */
export function multiplyTiles(
  kernels: KernelContext,
  overrides: ProductOverrides,
  bindings: ProductBindings,
  uniforms: ProductUniforms,
  stored = FLOATS,
): void {
  const { gpu } = kernels;
  const { outputs, rows, yRow, yOffset } = uniforms;
  const tiling = planTiles(kernels, uniforms, overrides);
  if (tiling.splits === 1) {
    runTiles(kernels, tiling, overrides, bindings, uniforms, stored);
    return;
  }
  gpu.allocating((allocator) => {
    const { depth, inputs, xRow, xOffset } = uniforms;
    const dense = { depth, inputs, outputs, rows, xRow, xOffset, yRow: outputs, yOffset: 0 };
    const parts = multiplyInParts(kernels, allocator, tiling, overrides, bindings, dense, stored.x);
    gpu.dispatch(linearSum, {
      link: stored.y,
      overrides: { BIAS: overrides.BIAS, ACCUMULATE: overrides.ACCUMULATE },
      bindings: { parts, bias: bindings.bias, y: bindings.y },
      uniforms: { outputs, rows, splits: tiling.splits, yRow, yOffset },
      workgroups: gpu.grid(Math.ceil((rows * outputs) / 256)),
    });
  });
}

/** A product whose depth is cut into parts, `[splits, rows, yRow]`, which nobody has added up yet. */
export interface ProductParts {
  readonly parts: BufferRange;
  readonly splits: number;
}

type PartsCall = Pick<Projection, 'x' | 'rows' | 'inputs' | 'outputs' | 'xRow' | 'yRow'>;

/** As `project`, for many rows and without a bias, but the parts of the sum are left to who reads the result. */
export function projectInParts(
  kernels: KernelContext,
  allocator: Allocator,
  weight: Storage,
  { x, rows, inputs, outputs, xRow = inputs, yRow = outputs }: PartsCall,
): ProductParts {
  const [whole, ...others] = weight.parts;
  if (whole === undefined || others.length > 0) {
    const y = wholeRange(allocator.scratch(4 * rows * yRow, 'product'));
    project(kernels, weight, { x, rows, inputs, outputs, xRow, y, yRow });
    return { parts: y, splits: 1 };
  }
  const { unusedInput, unusedOutput } = kernels.gpu;
  const sizes = { rows, depth: inputs, outputs };
  const tiling = planTiles(kernels, sizes, {});
  const parts = multiplyInParts(
    kernels,
    allocator,
    tiling,
    {
      FORMAT: FORMATS[weight.format as keyof typeof FORMATS],
      ALIGNED: aligned(inputs, xRow, 0, 4),
    },
    { x, weight: whole.values, scales: whole.scales ?? unusedInput, bias: unusedInput, y: unusedOutput },
    { ...sizes, inputs, xRow, xOffset: 0, yRow, yOffset: 0 },
  );
  return { parts, splits: tiling.splits };
}

/** Leaves the parts of a product in memory of their own. */
function multiplyInParts(
  kernels: KernelContext,
  allocator: Allocator,
  tiling: Tiling,
  { FORMAT, ALIGNED, X_TURNED, WEIGHT_TURNED }: Omit<ProductOverrides, 'BIAS' | 'ACCUMULATE'>,
  { x, weight, scales, bias, largest }: ProductBindings,
  uniforms: ProductUniforms,
  storedX: Stored = 'floats',
): BufferRange {
  const parts = wholeRange(allocator.scratch(4 * tiling.splits * uniforms.rows * uniforms.yRow, 'linear parts'));
  runTiles(
    kernels,
    tiling,
    { FORMAT, ALIGNED, X_TURNED, WEIGHT_TURNED, BIAS: false, ACCUMULATE: false },
    { x, weight, scales, bias, y: parts, largest },
    uniforms,
    { x: storedX, y: 'floats' },
  );
  return parts;
}

/** Objects are written out, since copies of others took most of the host's time for a product. */
function runTiles(
  { gpu, matrixUnits }: KernelContext,
  { shader, side, extent, splits }: Tiling,
  { FORMAT, ALIGNED, BIAS, ACCUMULATE, X_TURNED = false, WEIGHT_TURNED = false }: ProductOverrides,
  { x, weight, scales, bias, y, largest }: ProductBindings,
  { depth, inputs, outputs, rows, xRow, xOffset, yRow, yOffset }: ProductUniforms,
  stored: StoredOperands,
): void {
  const uniforms = { depth, inputs, outputs, rows, xRow, xOffset, yRow, yOffset, splits };
  const workgroups = [Math.ceil(outputs / extent), Math.ceil(rows / extent), splits] as const;
  if (shader === 'tiled') {
    gpu.dispatch(tiled, {
      constants: { SIDE: side, DEPTH: 8 / side },
      overrides: { FORMAT, ALIGNED, BIAS, ACCUMULATE, X_TURNED, WEIGHT_TURNED },
      bindings: { x, weight, scales, bias, y },
      uniforms,
      workgroups,
    });
    return;
  }
  gpu.dispatch(linearMatrix, {
    link: stored.y === 'halves' ? 'halves' : inFours(outputs, yRow, yOffset) ? 'quads' : 'singles',
    constants: { SIDE: side },
    overrides: {
      FORMAT,
      ALIGNED,
      BIAS,
      ACCUMULATE,
      X_TURNED,
      WEIGHT_TURNED,
      PAIRS: matrixUnits!.pairs,
      SCALED: largest !== undefined,
      X_HALVES: stored.x === 'halves',
    },
    bindings: { x, weight, scales, bias, y, largest: largest ?? gpu.unusedInput },
    uniforms,
    workgroups,
  });
}

/**
 * Whether all rows of y are whole vec4s, so that linear-matrix.wgsl writes it in fours. On an H100 that takes a product
 * of 768 inputs from 437 to 393 µs; linear.wgsl, whose sums are not opaque, lost 4 to 8 % by it.
 */
function inFours(outputs: number, yRow: number, yOffset: number): boolean {
  return outputs % 4 === 0 && yRow % 4 === 0 && yOffset % 4 === 0;
}

/**
 * Whether every load meets whole vec4s of x, `unit` columns of a row at once. Otherwise values are put together of two
 * loads and masked.
 */
export function aligned(inputs: number, xRow: number, xOffset: number, unit: number): boolean {
  return inputs % unit === 0 && xRow % 4 === 0 && xOffset % 4 === 0;
}

/** The way in which the lanes of an output meet x. */
export interface Meeting {
  readonly link: 'stored' | 'staged';
  /** The vec4s of x in workgroup memory; 1 where it is not brought there. */
  readonly staged: number;
  /** Columns of a row that are met at once. */
  readonly unit: number;
}

/** Bytes of workgroup memory a lane: its part of the squares, and of sums without subgroups. */
const LANE_BYTES = 12;
/** Bytes that are left to the rest of a kernel. */
const SPARE_BYTES = 1024;

/** x that is normalised on the way meets q8 and q4 from workgroup memory, where it fits. */
export function meetingOf(
  gpu: Gpu,
  format: Storage['format'],
  { inputs, workgroup, norm }: { inputs: number; workgroup: number; norm: boolean },
): Meeting {
  const columns = columnsOfLoad(format);
  const staged = (Math.ceil(inputs / columns) * columns) / 4;
  const bytes = 16 * staged + LANE_BYTES * workgroup + SPARE_BYTES;
  return norm && hasScales(format) && bytes <= gpu.limits.maxComputeWorkgroupStorageSize
    ? { link: 'staged', staged, unit: 4 }
    : { link: 'stored', staged: 1, unit: columns };
}

/** The lanes that share an output: 32, or fewer where the row is short or the adapter's subgroups are small. */
export function laneGroups(
  gpu: Gpu,
  inputs: number,
): { lanes: number; link: 'workgroup' | 'subgroup'; workgroup: number } {
  const wanted = Math.min(32, Math.max(4, 2 ** Math.ceil(Math.log2(inputs / 48))));
  const shuffled = gpu.shuffled(wanted);
  // A workgroup is one subgroup, since larger ones wait for their slowest subgroup.
  const workgroup = gpu.workgroup(Math.min(64, Math.max(32, gpu.subgroups?.max ?? 64)));
  return shuffled >= 4
    ? { lanes: shuffled, link: 'subgroup', workgroup }
    : { lanes: wanted, link: 'workgroup', workgroup };
}

/**
 * The number of 16-byte loads of a row that a lane has under way at once. It is the whole of the lane's part, or an
 * even share of it that is at most `most`.
 */
export function rowLoads(format: Storage['format'], inputs: number, lanes: number, most = 8): number {
  const loads = Math.ceil(inputs / columnsOfLoad(format) / lanes);
  return Math.ceil(loads / Math.ceil(loads / most));
}

/** Columns whose weights are 16 bytes. */
export function columnsOfLoad(format: Storage['format']): number {
  if (format === 'float32') return 4;
  return format === 'q8' ? 16 : format === 'q4' ? 32 : 8;
}
