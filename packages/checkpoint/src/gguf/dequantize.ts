/**
 * Converts blocks of ggml's quantised types to float32. A block holds its scale d (and minimum m) as float16, then its
 * packed integers q. K types hold 256 values in sub-blocks, whose small integer scales multiply d. Products of d and
 * the integers fit into the 24 bits of a float32, so that a value is rounded at most once, when m is added. The order
 * of operations therefore does not matter, and results equal ggml's to the bit.
 */
import { float16ToNumber } from '@mamba/core/toolkit';
import { BLOCKS, type QuantizedType } from './types.ts';

/** Fills `values` from the blocks in `bytes`. */
export function dequantize(type: QuantizedType, bytes: Uint8Array, values: Float32Array): void {
  const decode = DECODERS[type];
  const size = BLOCKS[type];
  for (let block = 0, out = 0; out < values.length; block += size.bytes, out += size.elements)
    decode(bytes, block, values, out);
}

type Decoder = (bytes: Uint8Array, block: number, values: Float32Array, out: number) => void;

const half = (bytes: Uint8Array, at: number): number => float16ToNumber(bytes[at]! | (bytes[at + 1]! << 8));
const int8 = (byte: number): number => (byte << 24) >> 24;

/**
 * Decodes d, [m], [fifth bits, one for each value], nibbles: values 0 to 15 are the low nibbles of the 16 bytes, values
 * 16 to 31 the high ones.
 */
function nibbles(hasMin: boolean, hasFifth: boolean): Decoder {
  const fifths = hasMin ? 4 : 2;
  const first = fifths + (hasFifth ? 4 : 0);
  const centre = hasFifth ? 16 : 8;
  return (bytes, block, values, out) => {
    const d = half(bytes, block);
    const m = hasMin ? half(bytes, block + 2) : 0;
    for (let index = 0; index < 32; index++) {
      let q = (bytes[block + first + (index & 15)]! >> (index & 16 ? 4 : 0)) & 15;
      if (hasFifth) q |= ((bytes[block + fifths + (index >> 3)]! >> (index & 7)) & 1) << 4;
      values[out + index] = hasMin ? d * q + m : d * (q - centre);
    }
  };
}

/**
 * Decodes Q4_K and Q5_K: d, dmin, 12 bytes of eight 6-bit scales and minima, [fifth bits: bit s of byte i is value i of
 * sub-block s], nibbles: 32 bytes hold sub-block 2j low and 2j + 1 high.
 */
function subBlocks(hasFifth: boolean): Decoder {
  const first = hasFifth ? 48 : 16;
  return (bytes, block, values, out) => {
    const d = half(bytes, block);
    const dmin = half(bytes, block + 2);
    for (let sub = 0; sub < 8; sub++) {
      const { scale, min } = scaleAndMin(bytes, block + 4, sub);
      for (let index = 0; index < 32; index++) {
        let q = (bytes[block + first + (sub >> 1) * 32 + index]! >> (sub & 1 ? 4 : 0)) & 15;
        if (hasFifth) q |= ((bytes[block + 16 + index]! >> sub) & 1) << 4;
        values[out + sub * 32 + index] = d * scale * q - dmin * min;
      }
    }
  };
}

/**
 * The 6-bit scale and minimum of a sub-block, out of 12 bytes (sub-block s, bits from high to low):
 *
 *     bytes 0 to 3    scale s + 4, bits 5 and 4 | scale s
 *     bytes 4 to 7    minimum s + 4, bits 5 and 4 | minimum s
 *     bytes 8 to 11   minimum s + 4, bits 3 to 0 | scale s + 4, bits 3 to 0
 */
function scaleAndMin(bytes: Uint8Array, at: number, sub: number): { scale: number; min: number } {
  if (sub < 4) return { scale: bytes[at + sub]! & 63, min: bytes[at + sub + 4]! & 63 };
  const low = bytes[at + sub + 4]!;
  return {
    scale: (low & 15) | ((bytes[at + sub - 4]! >> 6) << 4),
    min: (low >> 4) | ((bytes[at + sub]! >> 6) << 4),
  };
}

/**
 * Decodes Q6_K: 128 bytes of low nibbles, 64 bytes of upper bit pairs, 16 int8 scales (one for 16 values), d. Both
 * halves of 128 values have the same layout.
 */
const q6k: Decoder = (bytes, block, values, out) => {
  const d = half(bytes, block + 208);
  for (let index = 0; index < 256; index++) {
    const upper = index >> 7;
    const within = index & 127;
    // A half has quarters of 32 values: quarters 0 and 1 are the low nibbles of 64 bytes, quarters 2 and 3 the high
    // ones.
    const quarter = within >> 5;
    const low = (bytes[block + upper * 64 + (within & 63)]! >> (quarter & 2 ? 4 : 0)) & 15;
    const high = (bytes[block + 128 + upper * 32 + (within & 31)]! >> (quarter * 2)) & 3;
    const scale = int8(bytes[block + 192 + (index >> 4)]!);
    values[out + index] = d * scale * ((low | (high << 4)) - 32);
  }
};

const q8: Decoder = (bytes, block, values, out) => {
  const d = half(bytes, block);
  for (let index = 0; index < 32; index++) values[out + index] = d * int8(bytes[block + 2 + index]!);
};

const DECODERS: Readonly<Record<QuantizedType, Decoder>> = {
  Q8_0: q8,
  Q4_0: nibbles(false, false),
  Q4_1: nibbles(true, false),
  Q5_0: nibbles(false, true),
  Q5_1: nibbles(true, true),
  Q4_K: subBlocks(false),
  Q5_K: subBlocks(true),
  Q6_K: q6k,
};
