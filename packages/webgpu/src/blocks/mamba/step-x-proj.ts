/** x_proj in a block's step: a part of in_proj's dispatch, or a product of its own. The scan may add up its parts. */
import type { MambaConfig } from '@mamba/core/driver';
import type { Allocator } from '../../gpu/gpu.ts';
import type { BufferRange } from '../../gpu/shader.ts';
import type { KernelContext } from '../../operations/kernel-context.ts';
import { laneGroups, project, projectInParts } from '../../operations/linear.ts';
import { planTiles } from '../../operations/linear-plan.ts';
import { hasScales } from '../../storage.ts';
import type { Buffers } from '../buffers.ts';
import type { MambaBlock } from './mamba.ts';
import { isMany, JOINED_CHANNELS, projectedRow } from './sizes.ts';
import { type ScanInput, scanGroups } from './step-scan.ts';
import type { BoundMamba } from './weights.ts';

/** The way in which x_proj shares in_proj's dispatch. */
export interface Joined {
  /**
   * Channels of u that a workgroup of in_proj computes and multiplies by x_proj; 0 where x_proj has a dispatch of its
   * own.
   */
  readonly channels: number;
  /** Parts of x_proj's outputs: one for each of these workgroups, or 1. */
  readonly parts: number;
}

export const APART: Joined = { channels: 0, parts: 1 };
/**
 * Bytes of parts that all workgroups of the scan read together, from cache; beyond, x_proj's own dispatch is cheaper.
 */
const MOST_PARTS = 8e6;

export function joined(kernels: KernelContext, config: MambaConfig, dModel: number): Joined {
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
export function canJoin({ inProj, xProj }: BoundMamba, { channels }: Joined): boolean {
  return (
    inProj.parts.length === 1 && xProj.parts.length === 1 && (!hasScales(xProj.format) || channels === JOINED_CHANNELS)
  );
}

/** The byte at which the parts of x_proj's outputs begin in `uz`. */
export function partsOffset({ dInner }: MambaConfig, rows: number): number {
  return Math.ceil((8 * rows * dInner) / 256) * 256;
}

export function partsOfJoined(config: MambaConfig, rows: number, uz: BufferRange, { parts }: Joined): ScanInput {
  const offset = partsOffset(config, rows);
  const partStep = projectedRow(config) / 4;
  const range = { ...uz, offset: uz.offset + offset, size: uz.size - offset };
  return { range, parts, rowStep: parts * partStep, partStep };
}

/**
 * Bytes of parts that all workgroups of the scan's step of many rows read together, from cache. By the rate of an
 * H100's cache they take as long as a dispatch that adds them up once; that was not measured.
 */
const MOST_PARTS_OF_MANY = 32e6;

/** Dispatches x_proj, and leaves the parts of its sums to the scan where they are few enough. */
export function stepXProj(
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
