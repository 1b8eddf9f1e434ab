import type { DeviceTensor } from '@mamba/core/driver';
import { pack as shader } from '../generated/index.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { rangeOf, type Storage } from '../storage.ts';

/** Elements of an operand, and their place in the packed buffer. Absent operands are left out. */
export interface Packed {
  readonly source: DeviceTensor<Storage> | undefined;
  /** The first element that is copied. Default 0. */
  readonly begin?: number | undefined;
  readonly at: number;
  readonly count: number;
}

/** Operands of one dispatch. */
const SOURCES = [0, 1, 2, 3, 4, 5, 6] as const;
type Slot = (typeof SOURCES)[number];

/** Copies operands into one buffer. */
export function pack(gpu: Gpu, target: BufferRange, operands: readonly Packed[]): void {
  const present = operands.filter(({ source, count }) => source !== undefined && count > 0);
  for (let first = 0; first < present.length; first += SOURCES.length) {
    const group = present.slice(first, first + SOURCES.length);
    const forEach = <K extends string, V>(name: K, value: (operand: Packed | undefined) => V) =>
      Object.fromEntries(SOURCES.map((slot) => [`${name}${slot}`, value(group[slot])])) as Record<`${K}${Slot}`, V>;
    gpu.dispatch(shader, {
      bindings: {
        ...forEach('source', (operand) => (operand?.source ? rangeOf(operand.source) : gpu.unusedInput)),
        packed: target,
      },
      uniforms: {
        ...forEach('count', (operand) => operand?.count ?? 0),
        ...forEach('begin', (operand) => operand?.begin ?? 0),
        ...forEach('at', (operand) => operand?.at ?? 0),
      },
      workgroups: gpu.grid(Math.ceil(Math.max(...group.map(({ count }) => count)) / 256)),
    });
  }
}
