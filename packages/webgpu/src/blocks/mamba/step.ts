import { projectWithNorm } from '../../operations/linear-normed.ts';
import type { BufferSizes, Buffers } from '../buffers.ts';
import type { FusedStep } from '../fused-block.ts';
import type { MambaBlock } from './mamba.ts';
import { isMany, mostFewRows, projectedRow } from './sizes.ts';
import { stepInProj, stepInProjOfMany } from './step-in-proj.ts';
import { stepScan } from './step-scan.ts';
import { APART, canJoin, joined, partsOffset, partsOfJoined, stepXProj } from './step-x-proj.ts';

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
