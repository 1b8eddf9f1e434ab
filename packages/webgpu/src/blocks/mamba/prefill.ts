import { mixerNorm } from '../../generated/index.ts';
import { type Allocator, rowWorkgroup, wholeRange } from '../../gpu/gpu.ts';
import type { BufferRange } from '../../gpu/shader.ts';
import { convolve } from '../../operations/causal-conv1d.ts';
import { multipliesHalves, project } from '../../operations/linear.ts';
import { normalise } from '../../operations/rms-norm.ts';
import { constantsSize, scan, takesHalves } from '../../operations/selective-scan.ts';
import type { Stored } from '../../operations/stored.ts';
import type { BufferSize, BufferSizes, Buffers } from '../buffers.ts';
import type { FusedCall } from '../fused-block.ts';
import type { MambaBlock } from './mamba.ts';
import { projectedRow } from './sizes.ts';

type Name = 'normed' | 'xz' | 'u' | 'projected' | 'delta' | 'gated';

export type PrefillBuffers = Buffers<Name>;

export function prefillBuffers({ config, dModel, norm }: MambaBlock, rows: number): BufferSizes<Name> {
  const { dInner } = config;
  const floats = (elements: number, label: string): BufferSize => ({ bytes: 4 * rows * elements, label });
  return {
    normed: floats(norm === undefined ? 0 : dModel, 'normed'),
    xz: floats(2 * dInner, 'x and z'),
    u: floats(dInner, 'u'),
    projected: floats(projectedRow(config), 'dt, B, C'),
    delta: floats(dInner, 'delta'),
    gated: floats(dInner, 'gated'),
  };
}

/**
 * Runs norm, in_proj, convolution, x_proj, dt_proj, scan and out_proj. The kernels read x, z, dt, B and C where the
 * projections left them; nothing is copied. Where products may round to halves, activations between kernels are stored
 * in halves, but for dt, B and C and the residual.
 */
export function prefill(block: MambaBlock, call: FusedCall, buffers: PrefillBuffers): void {
  const { kernels, config, dModel, norm, weights } = block;
  const { gpu } = kernels;
  const { batch, length, resets, before, state } = call;
  const { xz, u, projected, delta, gated } = buffers;
  const { dInner, dState, dConv, dtRank, mixerNormEps } = config;
  const rows = batch * length;
  const row = projectedRow(config);
  const stored = storedIn(block, call);
  const x = norm === undefined ? 'floats' : stored;
  if (norm !== undefined)
    normalise(gpu, {
      x: call.x,
      weight: norm.weight,
      y: buffers.normed,
      rows,
      channels: dModel,
      xRow: dModel,
      xOffset: 0,
      eps: norm.eps,
      stored,
    });
  project(kernels, weights.inProj, {
    x: norm === undefined ? call.x : buffers.normed,
    rows,
    inputs: dModel,
    outputs: 2 * dInner,
    bias: weights.inProjBias,
    y: xz,
    stored: { x, y: stored },
  });
  convolve(gpu, {
    x: xz,
    xRow: 2 * dInner,
    xOffset: 0,
    weight: weights.conv,
    bias: weights.convBias,
    initial: before.conv,
    resets,
    y: u,
    last: state.conv!,
    silu: true,
    batch,
    length,
    dim: dInner,
    width: dConv,
    stored,
  });
  project(kernels, weights.xProj, {
    x: u,
    rows,
    inputs: dInner,
    outputs: dtRank + 2 * dState,
    y: projected,
    yRow: row,
    stored: { x: stored, y: 'floats' },
  });
  if (mixerNormEps !== undefined) normaliseParts(block, projected, rows, mixerNormEps);
  project(kernels, weights.dtProj, {
    x: projected,
    rows,
    inputs: dtRank,
    xRow: row,
    outputs: dInner,
    y: delta,
    stored: { x: 'floats', y: stored },
  });
  gpu.allocating((allocator) =>
    scan(kernels, {
      u,
      delta,
      z: { range: xz, row: 2 * dInner, offset: dInner },
      B: { range: projected, row, group: 0, offset: dtRank },
      C: { range: projected, row, group: 0, offset: dtRank + dState },
      constants: resets === undefined ? weights.scan : constantsWith(block, allocator, resets, rows),
      y: gated,
      state: state.ssm!,
      begun: true,
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
      stored,
    }),
  );
  project(kernels, weights.outProj, {
    x: gated,
    rows,
    inputs: dInner,
    outputs: dModel,
    bias: weights.outProjBias,
    y: call.y,
    accumulate: call.accumulate,
    stored: { x: stored, y: 'floats' },
  });
}

/** How u, delta, z and the like are stored between the kernels of a call. */
function storedIn({ kernels, config, dModel }: MambaBlock, { batch, length, resets }: FusedCall): Stored {
  const { dInner, dState, dtRank } = config;
  const sizes = { batch, length, dim: dInner, states: dState, groups: 1, discretization: 'euler' } as const;
  const strides = (offset: number) => ({ row: projectedRow(config), group: 0, offset });
  const halves =
    multipliesHalves(kernels, batch * length) &&
    dModel % 8 === 0 &&
    dInner % 8 === 0 &&
    takesHalves(kernels, { ...sizes, resets: resets !== undefined }, strides(dtRank), strides(dtRank + dState));
  return halves ? 'halves' : 'floats';
}

/** Normalises dt, B and C in place, where x_proj left them. */
function normaliseParts(
  { kernels: { gpu }, config, weights }: MambaBlock,
  projected: BufferRange,
  rows: number,
  eps: number,
): void {
  const { dtRank, dState } = config;
  const [across, down] = gpu.grid(rows);
  gpu.dispatch(mixerNorm, {
    overrides: { WORKGROUP: rowWorkgroup(gpu, dtRank), WEIGHT: weights.norms !== undefined },
    bindings: { projected, weight: weights.norms ?? gpu.unusedInput },
    uniforms: { row: projectedRow(config), dtRank, states: dState, rows, eps },
    workgroups: [across, down, 3],
  });
}

/** Copies the packed constants, with the marks of resets behind them. */
function constantsWith(
  { kernels: { gpu }, config, weights }: MambaBlock,
  allocator: Allocator,
  resets: BufferRange,
  rows: number,
): BufferRange {
  const size = 4 * constantsSize(config.dInner, config.dState, 0);
  const extended = allocator.scratch(size + 4 * rows, 'scan constants and resets');
  gpu.recorder.copy(weights.scan.buffer, 0, extended.buffer, 0, size);
  gpu.recorder.copy(resets.buffer, resets.offset, extended.buffer, size, 4 * rows);
  return wholeRange(extended);
}
