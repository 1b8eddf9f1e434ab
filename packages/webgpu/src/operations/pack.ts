import type { DeviceTensor } from '@mamba/core/driver';
import { pack as shader } from '../generated/index.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { rangeOf, type Storage } from '../storage.ts';
import { forEachSlot, SLOTS } from './slots.ts';

/** Elements of an operand, and their place in the packed buffer. Absent operands are left out. */
export interface Packed {
  readonly source?: DeviceTensor<Storage> | undefined;
  /** The operand's memory, in place of `source`. */
  readonly range?: BufferRange | undefined;
  /** The first element that is copied. Default 0. */
  readonly begin?: number | undefined;
  readonly at: number;
  readonly count: number;
}

/** Copies operands into one buffer. */
export function pack(gpu: Gpu, target: BufferRange, operands: readonly Packed[]): void {
  const present = operands.filter((operand) => memoryOf(operand) !== undefined && operand.count > 0);
  for (let first = 0; first < present.length; first += SLOTS.length) {
    const group = present.slice(first, first + SLOTS.length);
    gpu.dispatch(shader, {
      bindings: {
        ...forEachSlot('source', (slot) => {
          const operand = group[slot];
          return (operand && memoryOf(operand)) ?? gpu.unusedInput;
        }),
        packed: target,
      },
      uniforms: {
        ...forEachSlot('count', (slot) => group[slot]?.count ?? 0),
        ...forEachSlot('begin', (slot) => group[slot]?.begin ?? 0),
        ...forEachSlot('at', (slot) => group[slot]?.at ?? 0),
      },
      workgroups: gpu.grid(Math.ceil(Math.max(...group.map(({ count }) => count)) / 256)),
    });
  }
}

function memoryOf({ source, range }: Packed): BufferRange | undefined {
  return range ?? (source && rangeOf(source));
}
