import type { MambaConfig } from '@mamba/core/driver';
import type { KernelContext } from '../../operations/kernel-context.ts';
import { VECTOR_ROWS } from '../../operations/linear.ts';

/** Elements of a row of x_proj's output, rounded up so that every row begins at a whole vec4. */
export function projectedRow({ dtRank, dState }: MambaConfig): number {
  return Math.ceil((dtRank + 2 * dState) / 4) * 4;
}

/**
 * Most rows that read in_proj's weights once a row: beyond, products in tiles are faster, on matrix units from fewer
 * rows on.
 */
export function mostFewRows({ matrixUnits }: KernelContext): number {
  return matrixUnits === undefined ? 16 : VECTOR_ROWS;
}

/** Whether a step has more. */
export function isMany(kernels: KernelContext, rows: number): boolean {
  return rows > mostFewRows(kernels);
}

/** Channels of a workgroup where x_proj shares in_proj's dispatch. Fewer channels would make more parts to add up. */
export const JOINED_CHANNELS = 16;
