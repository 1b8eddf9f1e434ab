/** The first part of a block's step: norm, in_proj and the convolution's step. */
import { decodeConv, decodeInProj } from '../../generated/index.ts';
import type { BufferRange } from '../../gpu/shader.ts';
import { aligned, columnsOfLoad, laneGroups, meetingOf, projectInParts, rowLoads } from '../../operations/linear.ts';
import { FORMATS, type Format, hasScales, type Part } from '../../storage.ts';
import type { Buffers } from '../buffers.ts';
import type { FusedStep } from '../fused-block.ts';
import { normedInput } from '../normed-input.ts';
import type { MambaBlock } from './mamba.ts';
import { JOINED_CHANNELS, projectedRow } from './sizes.ts';
import { type Joined, partsOffset } from './step-x-proj.ts';

/** Dispatches norm, in_proj and, for u, the convolution's step; x_proj as well where it is joined. */
export function stepInProj(
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
export function stepInProjOfMany(
  { kernels, config, dModel, norm, weights }: MambaBlock,
  { x, normed: given, batch: rows, state }: FusedStep,
  { normed, uz }: Buffers<'normed' | 'uz'>,
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

/** Channels whose part of a row of x_proj is one load. */
function shareOf(format: Format): number {
  return hasScales(format) ? JOINED_CHANNELS : columnsOfLoad(format);
}

/** Values and, for q8 and q4, the scales behind them, in one binding. */
function withScales({ values, scales }: Part): BufferRange {
  return scales === undefined ? values : { ...values, size: scales.offset + scales.size - values.offset };
}
