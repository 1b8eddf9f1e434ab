/**
 * Converts float32 to ggml's blocks, rounding as its reference quantisers do: in float32, with the scale stored as
 * float16 and the integers computed from the unrounded scale.
 */
import { holds, numberToBfloat16, numberToFloat16 } from '@mamba/core/toolkit';
import { BLOCKS } from './types.ts';

/** The types that can be written. */
export const WRITABLE = ['F32', 'F16', 'BF16', 'Q8_0', 'Q4_0', 'Q4_1', 'Q5_0', 'Q5_1'] as const;
/** A type that matrices of a GGUF file can be written in. */
export type WritableType = (typeof WRITABLE)[number];

/**
 * Encodes whole blocks into `bytes`.
 * @returns The index of a value that the type cannot hold (not finite, or beyond float16), and then `bytes` are
 * undefined; or -1.
 */
export function quantize(type: WritableType, values: Float32Array, bytes: Uint8Array): number {
  const size = BLOCKS[type];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const encode = ENCODERS[type];
  for (let start = 0, block = 0; start < values.length; start += size.elements, block += size.bytes) {
    if (!encode(values, start, view, block)) return start;
  }
  return -1;
}

/** Encodes one block. Returns false where the values do not fit. */
type Encoder = (values: Float32Array, start: number, view: DataView, block: number) => boolean;

const { fround, abs, min, trunc } = Math;
const MAX_FLOAT16 = 65504;
const fits = (scale: number): boolean => abs(scale) <= MAX_FLOAT16;

/**
 * Encodes with a scale and no minimum. The value of the largest magnitude becomes the lowest integer, which sets the
 * sign of the scale.
 */
function symmetric(bits: 4 | 5): Encoder {
  const centre = 1 << (bits - 1);
  const largest = 2 * centre - 1;
  return (values, start, view, block) => {
    let extreme = 0;
    for (let index = 0; index < 32; index++) {
      const value = values[start + index]!;
      if (!Number.isFinite(value)) return false;
      if (abs(value) > abs(extreme)) extreme = value;
    }
    const d = fround(extreme / -centre);
    const inverse = d === 0 ? 0 : fround(1 / d);
    view.setUint16(block, numberToFloat16(d), true);
    pack(bits, view, block + 2, (index) =>
      min(largest, trunc(fround(fround(values[start + index]! * inverse) + (centre + 0.5)))),
    );
    return fits(d);
  };
}

/** Encodes with a scale and a minimum: the integers count up from the smallest value of the block. */
function affine(bits: 4 | 5): Encoder {
  const largest = (1 << bits) - 1;
  return (values, start, view, block) => {
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (let index = 0; index < 32; index++) {
      const value = values[start + index]!;
      if (!Number.isFinite(value)) return false;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    const d = fround(fround(high - low) / largest);
    const inverse = d === 0 ? 0 : fround(1 / d);
    view.setUint16(block, numberToFloat16(d), true);
    view.setUint16(block + 2, numberToFloat16(low), true);
    pack(bits, view, block + 4, (index) =>
      min(largest, trunc(fround(fround(fround(values[start + index]! - low) * inverse) + 0.5))),
    );
    return fits(d) && fits(low);
  };
}

/**
 * Packs [fifth bits, one for each value], then 16 bytes with values 0 to 15 as low nibbles and 16 to 31 as high ones.
 */
function pack(bits: 4 | 5, view: DataView, at: number, integer: (index: number) => number): void {
  let fifths = 0;
  const nibbles = bits === 5 ? at + 4 : at;
  for (let index = 0; index < 16; index++) {
    const low = integer(index);
    const high = integer(index + 16);
    view.setUint8(nibbles + index, (low & 15) | ((high & 15) << 4));
    fifths |= ((low >> 4) << index) | ((high >> 4) << (index + 16));
  }
  if (bits === 5) view.setUint32(at, fifths >>> 0, true);
}

const q8: Encoder = (values, start, view, block) => {
  let largest = 0;
  for (let index = 0; index < 32; index++) {
    const value = values[start + index]!;
    if (!Number.isFinite(value)) return false;
    largest = Math.max(largest, abs(value));
  }
  const d = fround(largest / 127);
  const inverse = d === 0 ? 0 : fround(1 / d);
  view.setUint16(block, numberToFloat16(d), true);
  for (let index = 0; index < 32; index++) {
    const scaled = fround(values[start + index]! * inverse);
    // Rounded to nearest, ties away from 0.
    view.setInt8(block + 2 + index, Math.sign(scaled) * Math.floor(abs(scaled) + 0.5));
  }
  return fits(d);
};

const ENCODERS: Readonly<Record<WritableType, Encoder>> = {
  F32: (values, start, view, block) => {
    view.setFloat32(block, values[start]!, true);
    return true;
  },
  F16: (values, start, view, block) => {
    const value = values[start]!;
    view.setUint16(block, numberToFloat16(value), true);
    return holds('float16', value);
  },
  BF16: (values, start, view, block) => {
    view.setUint16(block, numberToBfloat16(values[start]!), true);
    return holds('bfloat16', values[start]!);
  },
  Q8_0: q8,
  Q4_0: symmetric(4),
  Q4_1: affine(4),
  Q5_0: symmetric(5),
  Q5_1: affine(5),
};
