import type { DeviceTensor, LinearCall } from '@mamba/core/driver';
import { linearVector, linear as tiled } from '../generated/index.ts';
import { type Gpu, whole } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { FORMATS, plainStorage, rangeOf, type Storage } from '../storage.ts';

export function linear(
  gpu: Gpu,
  { x, weight, bias, rows, inputs, outputs }: LinearCall<DeviceTensor<Storage>>,
): Storage {
  return gpu.allocating((allocator) => {
    const y = allocator.result(4 * rows * outputs, 'linear');
    project(gpu, weight.storage, {
      x: rangeOf(x),
      rows,
      inputs,
      outputs,
      bias: bias && rangeOf(bias),
      y: whole(y),
    });
    return plainStorage(y);
  });
}

export interface Projection {
  readonly x: BufferRange;
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
  /** Elements from one row of x to the next, and where the first lies. Default: dense. */
  readonly xRow?: number | undefined;
  readonly xOffset?: number | undefined;
  readonly y: BufferRange;
  /** Elements from one row of y to the next. Default: dense. */
  readonly yRow?: number | undefined;
  readonly bias?: BufferRange | undefined;
  /** Add to y. */
  readonly accumulate?: boolean | undefined;
  /** RMS-normalise x on the way; for few rows only. */
  readonly norm?: { readonly weight: BufferRange; readonly eps: number } | undefined;
}

/** Rows of x up to which a lane group an output beats tiles: the weights are read once a row, from cache after the first. */
export const VECTOR_ROWS = 8;

/** y = x weightᵀ + bias, a dispatch a part of the matrix. */
export function project(gpu: Gpu, weight: Storage, call: Projection): void {
  const { inputs, outputs, rows, xRow = inputs, xOffset = 0, yRow = outputs, bias, norm, accumulate = false } = call;
  const format = FORMATS[weight.format as keyof typeof FORMATS];
  const vector = rows <= VECTOR_ROWS;
  for (const { firstRow, rows: most, values, scales = gpu.nothing } of weight.parts) {
    const part = Math.min(most, outputs - firstRow);
    const common = { inputs, outputs: part, xRow, xOffset, yRow, yOffset: firstRow };
    const bindings = { x: call.x, weight: values, scales, bias: bias ?? gpu.nothing, y: call.y };
    const overrides = {
      FORMAT: format,
      ALIGNED: aligned(weight.format, inputs, xRow, xOffset, vector),
      BIAS: bias !== undefined,
      ACCUMULATE: accumulate,
    };
    if (vector) {
      const { lanes, link, workgroup } = laneGroups(gpu, inputs);
      const [across, down] = gpu.grid(Math.ceil(part / (workgroup / lanes)));
      gpu.dispatch(linearVector, {
        link,
        overrides: {
          ...overrides,
          WORKGROUP: workgroup,
          LANES: lanes,
          NORM: norm !== undefined,
          SQUARES: norm !== undefined,
        },
        bindings: { ...bindings, norm: norm?.weight ?? gpu.nothing },
        uniforms: { ...common, eps: norm?.eps ?? 0 },
        workgroups: [across, down, rows],
      });
    } else {
      // Eight by eight outputs a lane where there are enough tiles of 128 × 128 to fill a device.
      const large = Math.ceil(rows / 128) * Math.ceil(part / 128) >= 128;
      const side = large ? 128 : 64;
      gpu.dispatch(tiled, {
        constants: large ? { ROWS: 8, QUADS: 2, DEPTH: 2 } : { ROWS: 4, QUADS: 1, DEPTH: 4 },
        overrides,
        bindings,
        uniforms: { ...common, rows },
        workgroups: [Math.ceil(part / side), Math.ceil(rows / side)],
      });
    }
  }
}

/** Whether every 16-byte load of weights meets whole vec4s of x: otherwise loads are put together and masked. */
export function aligned(
  format: Storage['format'],
  inputs: number,
  xRow: number,
  xOffset: number,
  vector: boolean,
): boolean {
  const unit = !vector || format === 'float32' ? 4 : format === 'q8' ? 16 : 8;
  return inputs % unit === 0 && xRow % 4 === 0 && xOffset % 4 === 0;
}

/** How many lanes share an output: 32, fewer where the row is short or the adapter's subgroups are small. */
export function laneGroups(
  gpu: Gpu,
  inputs: number,
): { lanes: number; link: 'workgroup' | 'subgroup'; workgroup: number } {
  const wanted = Math.min(32, Math.max(4, 2 ** Math.ceil(Math.log2(inputs / 16))));
  const shuffled = gpu.shuffled(wanted);
  const workgroup = gpu.workgroup(64);
  return shuffled >= 4
    ? { lanes: shuffled, link: 'subgroup', workgroup }
    : { lanes: wanted, link: 'workgroup', workgroup };
}
