/** The last but one part of a block's step: dt_proj, the scan's step and the gate. */
import type { MambaConfig } from '@mamba/core/driver';
import { decodeScan } from '../../generated/index.ts';
import type { BufferRange } from '../../gpu/shader.ts';
import type { KernelContext } from '../../operations/kernel-context.ts';
import { aligned, columnsOfLoad, laneGroups, rowLoads } from '../../operations/linear.ts';
import { FORMATS } from '../../storage.ts';
import type { Buffers } from '../buffers.ts';
import type { FusedCall } from '../fused-block.ts';
import type { MambaBlock } from './mamba.ts';
import { isMany, JOINED_CHANNELS, projectedRow } from './sizes.ts';

/** dt, B and C of all rows, as x_proj leaves them. */
export interface ScanInput {
  readonly range: BufferRange;
  /** Parts that the scan has to add up. */
  readonly parts: number;
  /** vec4s from one row of the batch to the next, and from one part to the next. */
  readonly rowStep: number;
  readonly partStep: number;
}

/** Dispatches dt_proj, the scan's step and the gate. */
export function stepScan(
  { kernels, config, weights }: MambaBlock,
  { batch, state }: FusedCall,
  { range, parts, rowStep, partStep }: ScanInput,
  { uz, gated }: Buffers<'uz' | 'gated'>,
): void {
  const { dInner, dState, dtRank, mixerNormEps } = config;
  const { dtProj, norms } = weights;
  const { gpu } = kernels;
  const summed = parts > 1;
  const scan = scanGroups(kernels, config, { rows: isMany(kernels, batch) ? 'many' : 'few', parts: summed });
  const row = projectedRow(config);
  for (const { firstRow, rows: most, values, scales = gpu.unusedInput } of dtProj.parts) {
    const rows = Math.min(most, dInner - firstRow);
    gpu.dispatch(decodeScan, {
      link: `${summed ? 'summed' : 'stored'}-${scan.link}`,
      constants: {
        LOADS: rowLoads(dtProj.format, dtRank, scan.lanes),
        ROW: row / 4,
        SETS: Math.max(1, Math.floor(scan.workgroup / (row / 4))),
      },
      overrides: {
        WORKGROUP: scan.workgroup,
        LANES: scan.lanes,
        FORMAT: FORMATS[dtProj.format as keyof typeof FORMATS],
        ALIGNED: aligned(dtRank, row, 0, columnsOfLoad(dtProj.format)),
        MIXER_NORM: mixerNormEps !== undefined,
        SQUARES: mixerNormEps !== undefined,
        NORM: norms !== undefined,
      },
      bindings: {
        x: range,
        weight: values,
        scales,
        norm: norms ?? gpu.unusedInput,
        constants: weights.scan,
        uz,
        state: state.ssm!,
        y: gated,
      },
      uniforms: {
        inputs: dtRank,
        outputs: rows,
        firstOutput: firstRow,
        dim: dInner,
        states: dState,
        parts,
        rowStep,
        partStep,
        eps: mixerNormEps ?? 0,
      },
      workgroups: [Math.ceil(rows / scan.channels), 1, batch],
    });
  }
}

/**
 * The lanes that share a channel in the scan's step, and the workgroup's size. Few rows leave a state to each lane, and
 * take large workgroups where many parts have to be added up. Many rows fill the device with four states to each lane,
 * in workgroups so large that a multiprocessor may hold enough of them, and larger where each adds up parts.
 */
export function scanGroups(
  { gpu }: KernelContext,
  { dtRank, dState }: MambaConfig,
  { rows, parts }: { rows: 'few' | 'many'; parts: boolean },
) {
  const many = rows === 'many';
  const { lanes, link, workgroup } = laneGroups(gpu, Math.max(dtRank, (many ? 12 : 48) * dState));
  const size = many ? gpu.workgroup(parts ? 256 : 128) : parts ? gpu.workgroup(lanes * JOINED_CHANNELS) : workgroup;
  return { lanes, link, workgroup: size, channels: size / lanes };
}
