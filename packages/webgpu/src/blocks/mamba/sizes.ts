import type { MambaConfig } from '@mamba/core/driver';

/** Elements of a row of x_proj's output, rounded up so that every row begins at a whole vec4. */
export function projectedRow({ dtRank, dState }: MambaConfig): number {
  return Math.ceil((dtRank + 2 * dState) / 4) * 4;
}
