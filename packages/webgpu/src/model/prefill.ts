import type { ModelConfig } from '@mamba/core/driver';
import { mixerNorm } from '../generated/index.ts';
import { type Allocator, type Gpu, rowWorkgroup, whole } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { convolve } from '../operations/causal-conv1d.ts';
import { project } from '../operations/linear.ts';
import { normalise } from '../operations/rms-norm.ts';
import { constantsSize, scan } from '../operations/selective-scan.ts';
import type { Layer } from './layers.ts';
import type { LayerState } from './state.ts';

/** Row of x_proj's output, rounded up so that vec4 loads of dt meet its start. */
export function projectedRow({ dtRank, dState }: ModelConfig): number {
  return Math.ceil((dtRank + 2 * dState) / 4) * 4;
}

/** Activations of one layer, used again by the next. */
export interface PrefillBuffers {
  readonly normed: BufferRange;
  readonly xz: BufferRange;
  readonly u: BufferRange;
  readonly projected: BufferRange;
  readonly delta: BufferRange;
  readonly gated: BufferRange;
}

export function prefillBuffers(allocator: Allocator, config: ModelConfig, rows: number): PrefillBuffers {
  const { dModel, dInner } = config;
  const scratch = (elements: number, label: string): BufferRange =>
    whole(allocator.scratch(4 * rows * elements, label));
  return {
    normed: scratch(dModel, 'normed'),
    xz: scratch(2 * dInner, 'x and z'),
    u: scratch(dInner, 'u'),
    projected: scratch(projectedRow(config), 'dt, B, C'),
    delta: scratch(dInner, 'delta'),
    gated: scratch(dInner, 'gated'),
  };
}

export interface PrefillCall {
  readonly batch: number;
  readonly length: number;
  readonly resets: BufferRange | undefined;
}

/**
 * One layer over a chunk of tokens, onto the residual: norm, in_proj, convolution, x_proj, dt_proj, scan, out_proj. The kernels read
 * x, z, dt, B and C where the projections left them; nothing is copied.
 */
export function prefillLayer(
  gpu: Gpu,
  allocator: Allocator,
  config: ModelConfig,
  layer: Layer,
  previousConv: BufferRange | undefined,
  state: LayerState,
  residual: BufferRange,
  { normed, xz, u, projected, delta, gated }: PrefillBuffers,
  { batch, length, resets }: PrefillCall,
): void {
  const { dModel, dInner, dState, dConv, dtRank, normEps, mixerNormEps } = config;
  const rows = batch * length;
  const row = projectedRow(config);
  normalise(gpu, {
    x: residual,
    weight: layer.norm,
    y: normed,
    rows,
    channels: dModel,
    xRow: dModel,
    xOffset: 0,
    eps: normEps,
  });
  project(gpu, layer.inProj, {
    x: normed,
    rows,
    inputs: dModel,
    outputs: 2 * dInner,
    bias: layer.inProjBias,
    y: xz,
  });
  convolve(gpu, {
    x: xz,
    xRow: 2 * dInner,
    xOffset: 0,
    weight: layer.conv,
    bias: layer.convBias,
    initial: previousConv,
    resets,
    y: u,
    last: whole(state.conv),
    silu: true,
    batch,
    length,
    dim: dInner,
    width: dConv,
  });
  project(gpu, layer.xProj, { x: u, rows, inputs: dInner, outputs: dtRank + 2 * dState, y: projected, yRow: row });
  if (mixerNormEps !== undefined) {
    const [across, down] = gpu.grid(rows);
    gpu.dispatch(mixerNorm, {
      overrides: { WORKGROUP: rowWorkgroup(gpu, dtRank) },
      bindings: { projected },
      uniforms: { row, dtRank, states: dState, rows, eps: mixerNormEps },
      workgroups: [across, down, 3],
    });
  }
  project(gpu, layer.dtProj, { x: projected, rows, inputs: dtRank, xRow: row, outputs: dInner, y: delta });
  scan(gpu, {
    u,
    delta,
    z: { range: xz, row: 2 * dInner, offset: dInner },
    B: { range: projected, row, group: 0, offset: dtRank },
    C: { range: projected, row, group: 0, offset: dtRank + dState },
    constants: constantsOf(gpu, allocator, config, layer, rows, resets),
    y: gated,
    state: whole(state.ssm),
    skip: true,
    bias: true,
    softplus: true,
    resets: resets !== undefined,
    discretization: 'euler',
    batch,
    length,
    dim: dInner,
    states: dState,
    groups: 1,
  });
  project(gpu, layer.outProj, {
    x: gated,
    rows,
    inputs: dInner,
    outputs: dModel,
    bias: layer.outProjBias,
    y: residual,
    accumulate: true,
  });
}

/** The layer's packed constants, with the reset marks behind them where there are any. */
function constantsOf(
  gpu: Gpu,
  allocator: Allocator,
  { dInner, dState }: ModelConfig,
  { scan: packed }: Layer,
  rows: number,
  resets: BufferRange | undefined,
): BufferRange {
  if (resets === undefined) return whole(packed);
  const size = 4 * constantsSize(dInner, dState, 0);
  const extended = allocator.scratch(size + 4 * rows, 'scan constants and resets');
  gpu.recorder.copy(packed.buffer, 0, extended.buffer, 0, size);
  gpu.recorder.copy(resets.buffer, resets.offset, extended.buffer, size, 4 * rows);
  return whole(extended);
}
