import type { MambaConfig } from '@mamba/core/driver';

/** Elements of a row of x_proj's output, rounded up so that vec4 loads of dt meet its start. */
export function projectedRow({ dtRank, dState }: MambaConfig): number {
  return Math.ceil((dtRank + 2 * dState) / 4) * 4;
}
