import type { MambaConfig } from '@mamba/core/driver';
import { decodeConv, decodeInProj, decodeScan } from '../../generated/index.ts';
import type { Allocator } from '../../gpu/gpu.ts';
import type { BufferRange } from '../../gpu/shader.ts';
import type { KernelContext } from '../../operations/kernel-context.ts';
import {
  aligned,
  columnsOfLoad,
  laneGroups,
  meetingOf,
  project,
  projectInParts,
  rowLoads,
  VECTOR_ROWS,
} from '../../operations/linear.ts';
import { projectWithNorm } from '../../operations/linear-normed.ts';
import { planTiles } from '../../operations/linear-plan.ts';
import { FORMATS, type Format, hasScales, type Part } from '../../storage.ts';
import type { BufferSizes, Buffers } from '../buffers.ts';
import type { FusedCall, FusedStep } from '../fused-block.ts';
import { normedInput } from '../normed-input.ts';
import type { MambaBlock } from './mamba.ts';
import { projectedRow } from './sizes.ts';
import type { BoundMamba } from './weights.ts';

/**
 * `normed` holds in_proj's input where there are many rows. `uz` holds u and z, and behind them, at `partsOffset`, the
 * parts of x_proj's outputs where in_proj's dispatch makes them. `projected` holds these outputs where the scan gets no
 * parts.
 */
type Name = 'normed' | 'uz' | 'projected' | 'gated';

export type StepBuffers = Buffers<Name>;

export function stepBuffers({ kernels, config, dModel, norm }: MambaBlock, rows: number): BufferSizes<Name> {
  const row = projectedRow(config);
  const joinedRows = Math.min(rows, mostFewRows(kernels));
  const { parts } = joined(kernels, config, dModel);
  return {
    normed: { bytes: norm !== undefined && isMany(kernels, rows) ? 4 * rows * dModel : 0, label: 'normed' },
    uz: { bytes: partsOffset(config, rows) + 4 * joinedRows * row * parts, label: 'u, z, and parts of dt, B, C' },
    projected: { bytes: 4 * rows * row, label: 'dt, B, C' },
    gated: { bytes: 4 * rows * config.dInner, label: 'gated' },
  };
}

/**
 * Most rows that read in_proj's weights once a row: beyond, products in tiles are faster, on matrix units from fewer
 * rows on.
 */
function mostFewRows({ matrixUnits }: KernelContext): number {
  return matrixUnits === undefined ? 16 : VECTOR_ROWS;
}

function isMany(kernels: KernelContext, rows: number): boolean {
  return rows > mostFewRows(kernels);
}

/**
 * Runs one token a row. Few rows take three or four dispatches: norm, in_proj and convolution (with x_proj where that
 * pays); x_proj (otherwise); dt_proj, scan step and gate; out_proj. The weights are read once a row. Many rows take
 * norm, in_proj and convolution apart, with products in tiles, whose parts the next dispatch adds up where that pays.
 * The state moves on in place. Returns whether `call.next` is written.
 */
export function step(block: MambaBlock, call: FusedStep, buffers: StepBuffers): boolean {
  const { kernels, config, dModel, weights } = block;
  const { uz, gated } = buffers;
  const { batch } = call;
  const many = isMany(kernels, batch);
  const shared = joined(kernels, config, dModel);
  const join = !many && canJoin(weights, shared) ? shared : APART;
  if (many) stepInProjOfMany(block, call, buffers);
  else stepInProj(block, call, uz, join);
  kernels.gpu.allocating((allocator) => {
    const x = join.channels > 0 ? partsOfJoined(config, batch, uz, join) : stepXProj(block, allocator, batch, buffers);
    stepScan(block, call, x, { uz, gated });
  });
  const product = { x: gated, rows: batch, inputs: config.dInner, outputs: dModel, bias: weights.outProjBias };
  return projectWithNorm(kernels, weights.outProj, { ...product, y: call.y, accumulate: call.accumulate }, call.next);
}

/** dt, B and C of all rows, as x_proj leaves them. */
interface ScanInput {
  readonly range: BufferRange;
  /** Parts that the scan has to add up. */
  readonly parts: number;
  /** vec4s from one row of the batch to the next, and from one part to the next. */
  readonly rowStep: number;
  readonly partStep: number;
}

function partsOfJoined(config: MambaConfig, rows: number, uz: BufferRange, { parts }: Joined): ScanInput {
  const offset = partsOffset(config, rows);
  const partStep = projectedRow(config) / 4;
  const range = { ...uz, offset: uz.offset + offset, size: uz.size - offset };
  return { range, parts, rowStep: parts * partStep, partStep };
}

/**
 * Bytes of parts that all workgroups of the scan's step of many rows read together, from cache; beyond, a dispatch that
 * adds them up once is cheaper.
 */
const MOST_PARTS_OF_MANY = 32e6;

/** Dispatches x_proj, and leaves the parts of its sums to the scan where they are few enough. */
function stepXProj(
  { kernels, config, weights: { xProj } }: MambaBlock,
  allocator: Allocator,
  rows: number,
  { uz, projected }: Buffers<'uz' | 'projected'>,
): ScanInput {
  const { dInner, dState, dtRank } = config;
  const row = projectedRow(config);
  const outputs = dtRank + 2 * dState;
  const product = { x: uz, rows, inputs: dInner, outputs, xRow: 2 * dInner, yRow: row };
  const steps = { rowStep: row / 4, partStep: (rows * row) / 4 };
  if (isMany(kernels, rows) && xProj.parts.length === 1) {
    const { splits } = planTiles(kernels, { rows, depth: dInner, outputs }, {});
    const scans = rows * Math.ceil(dInner / scanGroups(kernels, config, { rows: 'many', parts: true }).channels);
    if (splits > 1 && 4 * row * splits * scans <= MOST_PARTS_OF_MANY) {
      const { parts } = projectInParts(kernels, allocator, xProj, product);
      return { range: parts, parts: splits, ...steps };
    }
  }
  project(kernels, xProj, { ...product, y: projected });
  return { range: projected, parts: 1, ...steps };
}

/** The byte at which the parts of x_proj's outputs begin in `uz`. */
function partsOffset({ dInner }: MambaConfig, rows: number): number {
  return Math.ceil((8 * rows * dInner) / 256) * 256;
}

/** The way in which x_proj shares in_proj's dispatch. */
interface Joined {
  /**
   * Channels of u that a workgroup of in_proj computes and multiplies by x_proj; 0 where x_proj has a dispatch of its
   * own.
   */
  readonly channels: number;
  /** Parts of x_proj's outputs: one for each of these workgroups, or 1. */
  readonly parts: number;
}

const APART: Joined = { channels: 0, parts: 1 };
/** Channels of a workgroup. Fewer channels would make more parts to add up. */
const JOINED_CHANNELS = 16;
/**
 * Bytes of parts that all workgroups of the scan read together, from cache; beyond, x_proj's own dispatch is cheaper.
 */
const MOST_PARTS = 8e6;

function joined(kernels: KernelContext, config: MambaConfig, dModel: number): Joined {
  const { gpu } = kernels;
  const { dInner } = config;
  const wide = laneGroups(gpu, dModel).lanes;
  const channels = gpu.workgroup(wide * JOINED_CHANNELS) / wide;
  const parts = dInner / channels;
  const scans = dInner / scanGroups(kernels, config, { rows: 'few', parts: true }).channels;
  const pays = channels % 8 === 0 && Number.isInteger(parts) && 4 * parts * scans * projectedRow(config) <= MOST_PARTS;
  return pays ? { channels, parts } : APART;
}

/**
 * Whether x_proj can share in_proj's dispatch. A split matrix numbers its workgroups anew in each part, so they would
 * not tell their channels; and a load of q8 or q4 takes all channels of a workgroup.
 */
function canJoin({ inProj, xProj }: BoundMamba, { channels }: Joined): boolean {
  return (
    inProj.parts.length === 1 && xProj.parts.length === 1 && (!hasScales(xProj.format) || channels === JOINED_CHANNELS)
  );
}

/** Channels whose part of a row of x_proj is one load. */
function shareOf(format: Format): number {
  return hasScales(format) ? JOINED_CHANNELS : columnsOfLoad(format);
}

/** Values and, for q8 and q4, the scales behind them, in one binding. */
function withScales({ values, scales }: Part): BufferRange {
  return scales === undefined ? values : { ...values, size: scales.offset + scales.size - values.offset };
}

/**
 * The lanes that share a channel in the scan's step, and the workgroup's size. Few rows leave a state to each lane, and
 * take large workgroups where many parts have to be added up. Many rows fill the device with four states to each lane,
 * in workgroups so large that a multiprocessor may hold enough of them, and larger where each adds up parts.
 */
function scanGroups(
  { gpu }: KernelContext,
  { dtRank, dState }: MambaConfig,
  { rows, parts }: { rows: 'few' | 'many'; parts: boolean },
) {
  const many = rows === 'many';
  const { lanes, link, workgroup } = laneGroups(gpu, Math.max(dtRank, (many ? 12 : 48) * dState));
  const size = many ? gpu.workgroup(parts ? 256 : 128) : parts ? gpu.workgroup(lanes * JOINED_CHANNELS) : workgroup;
  return { lanes, link, workgroup: size, channels: size / lanes };
}

/** Dispatches norm, in_proj and, for u, the convolution's step; x_proj as well where it is joined. */
function stepInProj(
  { kernels: { gpu }, config, dModel, norm: own, weights }: MambaBlock,
  { x, normed, batch, state }: FusedStep,
  uz: BufferRange,
  { channels }: Joined,
): void {
  const { dInner, dState, dConv, dtRank } = config;
  const { inProj, xProj } = weights;
  const outputs = dtRank + 2 * dState;
  const projects = channels > 0;
  const norm = normed === undefined ? own : undefined;
  const wide = laneGroups(gpu, dModel);
  const workgroup = projects ? channels * wide.lanes : wide.workgroup;
  const meeting = meetingOf(gpu, inProj.format, { inputs: dModel, workgroup, norm: norm !== undefined });
  for (const { firstRow, rows: most, values, scales = gpu.unusedInput } of inProj.parts) {
    const rows = Math.min(most, 2 * dInner - firstRow);
    const [across, down] = gpu.grid(Math.ceil(rows / (workgroup / wide.lanes)));
    gpu.dispatch(decodeInProj, {
      link: `${meeting.link}-${wide.link}`,
      constants: {
        TAPS: dConv,
        STAGED: meeting.staged,
        LOADS: rowLoads(inProj.format, dModel, wide.lanes),
        CHANNELS: workgroup / wide.lanes,
        SHARE: projects ? channels / shareOf(xProj.format) : 1,
        OUTPUTS: projects ? Math.ceil(outputs / workgroup) : 1,
      },
      overrides: {
        WORKGROUP: workgroup,
        LANES: wide.lanes,
        FORMAT: FORMATS[inProj.format as keyof typeof FORMATS],
        ALIGNED: aligned(dModel, dModel, 0, meeting.unit),
        NORM: norm !== undefined,
        SQUARES: norm !== undefined,
        BIAS: weights.inProjBias !== undefined,
        CONV_BIAS: weights.convBias !== undefined,
        PROJECT: projects,
        PROJECT_FORMAT: projects ? FORMATS[xProj.format as keyof typeof FORMATS] : 0,
      },
      bindings: {
        x: normed ?? x,
        weight: values,
        scales,
        norm: norm?.weight ?? gpu.unusedInput,
        constants: weights.decode,
        state: state.conv!,
        y: uz,
        xProj: projects ? withScales(xProj.parts[0]!) : gpu.unusedInput,
      },
      uniforms: {
        inputs: dModel,
        outputs: rows,
        firstOutput: firstRow,
        dim: dInner,
        eps: norm?.eps ?? 0,
        projected: outputs,
        row: projectedRow(config),
        parts: partsOffset(config, batch) / 4,
        projectScales: (xProj.parts[0]!.scales?.offset ?? 0) / 4,
      },
      workgroups: [across, down, batch],
    });
  }
}

/** The same in dispatches of their own: norm, in_proj, and the convolution's step, which adds up in_proj's parts. */
function stepInProjOfMany(
  { kernels, config, dModel, norm, weights }: MambaBlock,
  { x, normed: given, batch: rows, state }: FusedStep,
  { normed, uz }: StepBuffers,
): void {
  const { gpu } = kernels;
  const { dInner, dConv } = config;
  const input = normedInput(kernels, norm, { x, rows, dModel, given, normed });
  const product = { x: input.x, rows, inputs: dModel, outputs: 2 * dInner };
  gpu.allocating((allocator) => {
    const { parts, splits } = projectInParts(kernels, allocator, weights.inProj, product);
    gpu.dispatch(decodeConv, {
      constants: { TAPS: dConv },
      overrides: { BIAS: weights.inProjBias !== undefined, CONV_BIAS: weights.convBias !== undefined },
      bindings: { x: parts, constants: weights.decode, state: state.conv!, uz },
      uniforms: { rows, dim: dInner, parts: splits },
      workgroups: gpu.grid(Math.ceil((2 * rows * dInner) / 64)),
    });
  });
}

/** Dispatches dt_proj, the scan's step and the gate. */
function stepScan(
  { kernels, config, weights }: MambaBlock,
  { batch, state }: FusedCall,
  { range, parts, rowStep, partStep }: ScanInput,
  { uz, gated }: Buffers<'uz' | 'gated'>,
): void {
  const { dInner, dState, dtRank, mixerNormEps } = config;
  const { dtProj, norms } = weights;
  const { gpu } = kernels;
  const summed = parts > 1;
  const scan = scanGroups(kernels, config, { rows: isMany(kernels, batch) ? 'many' : 'few', parts: summed });
  const row = projectedRow(config);
  for (const { firstRow, rows: most, values, scales = gpu.unusedInput } of dtProj.parts) {
    const rows = Math.min(most, dInner - firstRow);
    gpu.dispatch(decodeScan, {
      link: `${summed ? 'summed' : 'stored'}-${scan.link}`,
      constants: {
        LOADS: rowLoads(dtProj.format, dtRank, scan.lanes),
        ROW: row / 4,
        SETS: Math.max(1, Math.floor(scan.workgroup / (row / 4))),
      },
      overrides: {
        WORKGROUP: scan.workgroup,
        LANES: scan.lanes,
        FORMAT: FORMATS[dtProj.format as keyof typeof FORMATS],
        ALIGNED: aligned(dtRank, row, 0, columnsOfLoad(dtProj.format)),
        MIXER_NORM: mixerNormEps !== undefined,
        SQUARES: mixerNormEps !== undefined,
        NORM: norms !== undefined,
      },
      bindings: {
        x: range,
        weight: values,
        scales,
        norm: norms ?? gpu.unusedInput,
        constants: weights.scan,
        uz,
        state: state.ssm!,
        y: gated,
      },
      uniforms: {
        inputs: dtRank,
        outputs: rows,
        firstOutput: firstRow,
        dim: dInner,
        states: dState,
        parts,
        rowStep,
        partStep,
        eps: mixerNormEps ?? 0,
      },
      workgroups: [Math.ceil(rows / scan.channels), 1, batch],
    });
  }
}
