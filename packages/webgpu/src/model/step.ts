import type { ModelConfig } from '@mamba/core/driver';
import { decodeInProj, decodeScan } from '../generated/index.ts';
import { type Gpu, whole } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { gatherRows } from '../operations/embedding.ts';
import { aligned, laneGroups, project, rowLoads } from '../operations/linear.ts';
import { FORMATS } from '../storage.ts';
import type { Layer, Layers } from './layers.ts';
import { projectedRow } from './prefill.ts';
import type { LayerState } from './state.ts';

/** Activations of one step. */
export interface StepBuffers {
  readonly residual: BufferRange;
  /** u and z; behind them, at `partsOffset`, the parts of x_proj's outputs where in_proj makes those. */
  readonly uz: BufferRange;
  /** x_proj's outputs where it has a dispatch of its own. */
  readonly projected: BufferRange;
  readonly gated: BufferRange;
}

/** Bytes of `StepBuffers.uz` for so many rows. */
export function uzBytes(gpu: Gpu, config: ModelConfig, rows: number): number {
  return partsOffset(config, rows) + 4 * rows * projectedRow(config) * joined(gpu, config).parts;
}

/** Where the parts of x_proj's outputs begin in `StepBuffers.uz`. */
function partsOffset({ dInner }: ModelConfig, rows: number): number {
  return Math.ceil((8 * rows * dInner) / 256) * 256;
}

/**
 * One token a row through all layers, three or four dispatches a layer: norm, in_proj and convolution, with x_proj where that pays;
 * x_proj, where not; dt_proj, scan step and gate; out_proj onto the residual. The state moves on in place.
 */
export function step(
  gpu: Gpu,
  config: ModelConfig,
  weights: Layers,
  state: readonly LayerState[],
  buffers: StepBuffers,
  ids: BufferRange,
  batch: number,
): void {
  gatherRows(gpu, weights.embedding, {
    tableRows: config.vocabSize,
    ids,
    idRow: 1,
    idOffset: 0,
    count: batch,
    channels: config.dModel,
    y: buffers.residual,
  });
  for (const [index, layer] of weights.layers.entries()) stepLayer(gpu, config, layer, state[index]!, buffers, batch);
}

/** How x_proj runs with in_proj. */
interface Joined {
  /** Channels of u that a workgroup of in_proj makes and takes through x_proj; 0 where x_proj has a dispatch of its own. */
  readonly channels: number;
  /** Parts of x_proj's outputs: one, or as many as those workgroups. */
  readonly parts: number;
}

const APART: Joined = { channels: 0, parts: 1 };
/** Channels of a workgroup: fewer make more parts to add up. */
const JOINED_CHANNELS = 16;
/** Bytes of parts that all workgroups of the scan read together, from cache; beyond, x_proj's own dispatch is cheaper. */
const MOST_PARTS = 8e6;

function joined(gpu: Gpu, config: ModelConfig): Joined {
  const { dModel, dInner } = config;
  const wide = laneGroups(gpu, dModel).lanes;
  const channels = gpu.workgroup(wide * JOINED_CHANNELS) / wide;
  const parts = dInner / channels;
  const scans = dInner / scanGroups(gpu, config, true).channels;
  const pays = channels % 8 === 0 && Number.isInteger(parts) && 4 * parts * scans * projectedRow(config) <= MOST_PARTS;
  return pays ? { channels, parts } : APART;
}

/** Workgroups of a matrix in pieces would not be numbered by their channels; a block of q8 is wider than a workgroup's channels. */
function canJoin({ inProj, xProj }: Layer): boolean {
  return inProj.parts.length === 1 && xProj.parts.length === 1 && xProj.format !== 'q8';
}

/** Lanes that share a channel in the scan's step, and its workgroups: wide ones where they have many parts to add up. */
function scanGroups(gpu: Gpu, { dtRank, dState }: ModelConfig, many: boolean) {
  const { lanes, link, workgroup } = laneGroups(gpu, Math.max(dtRank, 48 * dState));
  const size = many ? gpu.workgroup(lanes * JOINED_CHANNELS) : workgroup;
  return { lanes, link, workgroup: size, channels: size / lanes };
}

function stepLayer(
  gpu: Gpu,
  config: ModelConfig,
  layer: Layer,
  state: LayerState,
  { residual, uz, projected, gated }: StepBuffers,
  batch: number,
): void {
  const { dModel, dInner, dState, dConv, dtRank, normEps, mixerNormEps } = config;
  const { xProj, inProj } = layer;
  const row = projectedRow(config);
  const outputs = dtRank + 2 * dState;
  const offset = partsOffset(config, batch);
  const { channels, parts } = canJoin(layer) ? joined(gpu, config) : APART;
  const projects = channels > 0;
  const wide = laneGroups(gpu, dModel);
  const workgroup = projects ? channels * wide.lanes : wide.workgroup;
  for (const { firstRow, rows: most, values, scales = gpu.nothing } of inProj.parts) {
    const rows = Math.min(most, 2 * dInner - firstRow);
    const [across, down] = gpu.grid(Math.ceil(rows / (workgroup / wide.lanes)));
    gpu.dispatch(decodeInProj, {
      link: wide.link,
      constants: {
        TAPS: dConv,
        LOADS: rowLoads(inProj.format, dModel, wide.lanes),
        CHANNELS: workgroup / wide.lanes,
        SHARE: projects ? channels / (xProj.format === 'float32' ? 4 : 8) : 1,
        OUTPUTS: projects ? Math.ceil(outputs / workgroup) : 1,
      },
      overrides: {
        WORKGROUP: workgroup,
        LANES: wide.lanes,
        FORMAT: FORMATS[inProj.format as keyof typeof FORMATS],
        ALIGNED: aligned(inProj.format, dModel, dModel, 0, true),
        BIAS: layer.inProjBias !== undefined,
        CONV_BIAS: layer.convBias !== undefined,
        PROJECT: projects,
        PROJECT_FORMAT: projects ? FORMATS[xProj.format as keyof typeof FORMATS] : 0,
      },
      bindings: {
        x: residual,
        weight: values,
        scales,
        norm: layer.norm,
        constants: whole(layer.decode),
        state: whole(state.conv),
        y: uz,
        xProj: projects ? xProj.parts[0]!.values : gpu.nothing,
      },
      uniforms: {
        inputs: dModel,
        outputs: rows,
        firstOutput: firstRow,
        dim: dInner,
        eps: normEps,
        projected: outputs,
        row,
        parts: offset / 4,
      },
      workgroups: [across, down, batch],
    });
  }
  if (!projects)
    project(gpu, xProj, {
      x: uz,
      rows: batch,
      inputs: dInner,
      outputs,
      xRow: 2 * dInner,
      y: projected,
      yRow: row,
    });
  const scan = scanGroups(gpu, config, projects);
  const vectors = row / 4;
  for (const { firstRow, rows: most, values, scales = gpu.nothing } of layer.dtProj.parts) {
    const rows = Math.min(most, dInner - firstRow);
    gpu.dispatch(decodeScan, {
      link: `${projects ? 'summed' : 'stored'}-${scan.link}`,
      constants: {
        LOADS: rowLoads(layer.dtProj.format, dtRank, scan.lanes),
        ROW: vectors,
        SETS: Math.max(1, Math.floor(scan.workgroup / vectors)),
      },
      overrides: {
        WORKGROUP: scan.workgroup,
        LANES: scan.lanes,
        FORMAT: FORMATS[layer.dtProj.format as keyof typeof FORMATS],
        ALIGNED: aligned(layer.dtProj.format, dtRank, row, 0, true),
        MIXER_NORM: mixerNormEps !== undefined,
        SQUARES: mixerNormEps !== undefined,
      },
      bindings: {
        x: projects ? { ...uz, offset: uz.offset + offset, size: uz.size - offset } : projected,
        weight: values,
        scales,
        norm: gpu.nothing,
        constants: whole(layer.scan),
        uz,
        state: whole(state.ssm),
        y: gated,
      },
      uniforms: {
        inputs: dtRank,
        outputs: rows,
        firstOutput: firstRow,
        dim: dInner,
        states: dState,
        parts,
        eps: mixerNormEps ?? 0,
      },
      workgroups: [Math.ceil(rows / scan.channels), 1, batch],
    });
  }
  project(gpu, layer.outProj, {
    x: gated,
    rows: batch,
    inputs: dInner,
    outputs: dModel,
    bias: layer.outProjBias,
    y: residual,
    accumulate: true,
  });
}
