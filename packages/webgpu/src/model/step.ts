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
  readonly uz: BufferRange;
  readonly projected: BufferRange;
  readonly gated: BufferRange;
}

/**
 * One token a row through all layers, four dispatches a layer: norm, in_proj and convolution; x_proj; dt_proj, scan step and gate;
 * out_proj onto the residual. The state moves on in place.
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

function stepLayer(
  gpu: Gpu,
  config: ModelConfig,
  layer: Layer,
  state: LayerState,
  { residual, uz, projected, gated }: StepBuffers,
  batch: number,
): void {
  const { dModel, dInner, dState, dConv, dtRank, normEps, mixerNormEps } = config;
  const wide = laneGroups(gpu, dModel);
  for (const { firstRow, rows: most, values, scales = gpu.nothing } of layer.inProj.parts) {
    const rows = Math.min(most, 2 * dInner - firstRow);
    const [across, down] = gpu.grid(Math.ceil(rows / (wide.workgroup / wide.lanes)));
    gpu.dispatch(decodeInProj, {
      link: wide.link,
      constants: { TAPS: dConv, LOADS: rowLoads(layer.inProj.format, dModel, wide.lanes) },
      overrides: {
        WORKGROUP: wide.workgroup,
        LANES: wide.lanes,
        FORMAT: FORMATS[layer.inProj.format as keyof typeof FORMATS],
        ALIGNED: aligned(layer.inProj.format, dModel, dModel, 0, true),
        BIAS: layer.inProjBias !== undefined,
        CONV_BIAS: layer.convBias !== undefined,
      },
      bindings: {
        x: residual,
        weight: values,
        scales,
        norm: layer.norm,
        constants: whole(layer.decode),
        state: whole(state.conv),
        y: uz,
      },
      uniforms: { inputs: dModel, outputs: rows, firstOutput: firstRow, dim: dInner, eps: normEps },
      workgroups: [across, down, batch],
    });
  }
  project(gpu, layer.xProj, {
    x: uz,
    rows: batch,
    inputs: dInner,
    outputs: dtRank + 2 * dState,
    xRow: 2 * dInner,
    y: projected,
    yRow: projectedRow(config),
  });
  const narrow = laneGroups(gpu, Math.max(dtRank, 48 * dState));
  for (const { firstRow, rows: most, values, scales = gpu.nothing } of layer.dtProj.parts) {
    const rows = Math.min(most, dInner - firstRow);
    gpu.dispatch(decodeScan, {
      link: narrow.link,
      constants: { LOADS: rowLoads(layer.dtProj.format, dtRank, narrow.lanes) },
      overrides: {
        WORKGROUP: narrow.workgroup,
        LANES: narrow.lanes,
        FORMAT: FORMATS[layer.dtProj.format as keyof typeof FORMATS],
        ALIGNED: aligned(layer.dtProj.format, dtRank, projectedRow(config), 0, true),
        MIXER_NORM: mixerNormEps !== undefined,
        SQUARES: mixerNormEps !== undefined,
      },
      bindings: {
        x: projected,
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
        row: projectedRow(config),
        eps: mixerNormEps ?? 0,
      },
      workgroups: [Math.ceil(rows / (narrow.workgroup / narrow.lanes)), 1, batch],
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
