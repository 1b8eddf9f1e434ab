/**
 * The blocks of ggml: compared with ggml's own Python package, with blocks made by hand from the format's definition,
 * and with the bounds of rounding.
 */
import { readFileSync } from 'node:fs';
import { float16ToNumber, numberToFloat16 } from '@mamba/core/toolkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dequantize } from '../src/gguf/dequantize.ts';
import { quantize, type WritableType } from '../src/gguf/quantize.ts';
import { BLOCKS, type QuantizedType } from '../src/gguf/types.ts';

const halfBits = (value: number): number[] => {
  const bits = numberToFloat16(value);
  return [bits & 255, bits >> 8];
};

function decode(type: QuantizedType, bytes: readonly number[]): Float32Array {
  expect(bytes.length).toBe(BLOCKS[type].bytes);
  const values = new Float32Array(BLOCKS[type].elements);
  dequantize(type, new Uint8Array(bytes), values);
  return values;
}

/** The file that data/gguf-blocks.py makes. */
interface Golden {
  readonly read: Readonly<Record<QuantizedType, { readonly bytes: string; readonly float32: string }>>;
  readonly values: string;
  readonly written: Readonly<Record<Exclude<WritableType, 'F32' | 'F16'>, string>>;
}

describe("blocks of ggml's own Python package", () => {
  const golden = JSON.parse(readFileSync(new URL('data/gguf-blocks.json', import.meta.url), 'utf8')) as Golden;
  const bytesOf = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(Buffer.from(text, 'base64'));
  const floatsOf = (text: string): Float32Array => new Float32Array(bytesOf(text).buffer);

  it.each(Object.keys(golden.read) as QuantizedType[])('are read to the same bits (%s)', (type) => {
    const expected = floatsOf(golden.read[type].float32);
    expect(expected.length).toBe(3 * BLOCKS[type].elements);
    const values = new Float32Array(expected.length);
    dequantize(type, bytesOf(golden.read[type].bytes), values);
    expect(values).toEqual(expected);
  });

  it.each(Object.keys(golden.written) as (keyof Golden['written'])[])('are written to the same bytes (%s)', (type) => {
    const expected = bytesOf(golden.written[type]);
    const bytes = new Uint8Array(expected.length);
    expect(quantize(type, floatsOf(golden.values), bytes)).toBe(-1);
    expect(bytes).toEqual(expected);
  });

  it('are of every type that can be read', () => {
    const quantized = Object.entries(BLOCKS).flatMap(([type, { elements }]) => (elements > 1 ? [type] : []));
    expect(Object.keys(golden.read).sort()).toEqual(quantized.sort());
  });
});

describe('blocks by the definition', () => {
  const bits = (count: number, width: number) =>
    fc.array(fc.integer({ min: 0, max: 2 ** width - 1 }), { minLength: count, maxLength: count });
  const scale = fc.integer({ min: -2000, max: 2000 }).map((value) => value / 1024);
  /** Packs values 0 to 15 as low nibbles and 16 to 31 as high ones. */
  const nibbles = (q: readonly number[]): number[] =>
    Array.from({ length: 16 }, (_, index) => (q[index]! & 15) | ((q[index + 16]! & 15) << 4));
  const fifths = (q: readonly number[]): number[] =>
    Array.from({ length: 4 }, (_, byte) =>
      Array.from({ length: 8 }, (_, bit) => (q[byte * 8 + bit]! >> 4) << bit).reduce((a, b) => a | b),
    );
  const f16 = (value: number): number => float16ToNumber(numberToFloat16(value));

  it('reads Q8_0, Q4_0, Q4_1, Q5_0, Q5_1', () => {
    fc.assert(
      fc.property(scale, scale, bits(32, 8), bits(32, 4), bits(32, 5), (d, m, q8, q4, q5) => {
        const [D, M] = [f16(d), f16(m)];
        const expected = (values: number[]): Float32Array => Float32Array.from(values);
        const signed = q8.map((q) => (q > 127 ? q - 256 : q));
        expect(decode('Q8_0', [...halfBits(d), ...q8])).toEqual(expected(signed.map((q) => D * q)));
        expect(decode('Q4_0', [...halfBits(d), ...nibbles(q4)])).toEqual(expected(q4.map((q) => D * (q - 8))));
        expect(decode('Q4_1', [...halfBits(d), ...halfBits(m), ...nibbles(q4)])).toEqual(
          expected(q4.map((q) => D * q + M)),
        );
        expect(decode('Q5_0', [...halfBits(d), ...fifths(q5), ...nibbles(q5)])).toEqual(
          expected(q5.map((q) => D * (q - 16))),
        );
        expect(decode('Q5_1', [...halfBits(d), ...halfBits(m), ...fifths(q5), ...nibbles(q5)])).toEqual(
          expected(q5.map((q) => D * q + M)),
        );
      }),
      { numRuns: 200, seed: 1 },
    );
  });

  /**
   * Packs eight 6-bit scales and minima: the first four in whole bytes, whose upper two bits hold the upper bits of the
   * last four.
   */
  const packScales = (scales: readonly number[], mins: readonly number[]): number[] => [
    ...[0, 1, 2, 3].map((index) => scales[index]! | ((scales[index + 4]! >> 4) << 6)),
    ...[0, 1, 2, 3].map((index) => mins[index]! | ((mins[index + 4]! >> 4) << 6)),
    ...[4, 5, 6, 7].map((index) => (scales[index]! & 15) | ((mins[index]! & 15) << 4)),
  ];

  it('reads Q4_K and Q5_K', () => {
    fc.assert(
      fc.property(scale, scale, bits(8, 6), bits(8, 6), bits(256, 5), (d, dmin, scales, mins, q) => {
        const head = [...halfBits(d), ...halfBits(dmin), ...packScales(scales, mins)];
        const pairs = (index: number): [number, number] => {
          const at = Math.floor(index / 32) * 64 + (index % 32);
          return [q[at]!, q[at + 32]!];
        };
        const low = Array.from({ length: 128 }, (_, index) => {
          const [a, b] = pairs(index);
          return (a & 15) | ((b & 15) << 4);
        });
        const high = Array.from({ length: 32 }, (_, index) =>
          scales.map((_, sub) => (q[sub * 32 + index]! >> 4) << sub).reduce((a, b) => a | b),
        );
        const expected = (mask: number): Float32Array =>
          Float32Array.from(q, (value, index) => {
            const sub = Math.floor(index / 32);
            return f16(d) * scales[sub]! * (value & mask) - f16(dmin) * mins[sub]!;
          });
        expect(decode('Q4_K', [...head, ...low])).toEqual(expected(15));
        expect(decode('Q5_K', [...head, ...high, ...low])).toEqual(expected(31));
      }),
      { numRuns: 100, seed: 2 },
    );
  });

  it('reads Q6_K', () => {
    fc.assert(
      fc.property(scale, bits(16, 8), bits(256, 6), (d, scales, q) => {
        const bytes = new Array<number>(210).fill(0);
        // In each half of 128 values, value i of quarter k has its low bits in byte i (k even) or 32 + i, and its high
        // bits in pair k of byte i.
        for (const [index, value] of q.entries()) {
          const [half, quarter, i] = [Math.floor(index / 128), Math.floor((index % 128) / 32), index % 32];
          bytes[half * 64 + (quarter % 2) * 32 + i]! |= (value & 15) << (quarter < 2 ? 0 : 4);
          bytes[128 + half * 32 + i]! |= (value >> 4) << (2 * quarter);
        }
        bytes.splice(192, 18, ...scales, ...halfBits(d));
        const expected = Float32Array.from(q, (value, index) => {
          const byte = scales[Math.floor(index / 16)]!;
          return f16(d) * (byte > 127 ? byte - 256 : byte) * (value - 32);
        });
        expect(decode('Q6_K', bytes)).toEqual(expected);
      }),
      { numRuns: 100, seed: 3 },
    );
  });
});

describe('rounding', () => {
  const TYPES = ['Q8_0', 'Q4_0', 'Q4_1', 'Q5_0', 'Q5_1'] as const;
  const blocks = fc
    .tuple(
      fc.array(fc.float({ min: -1, max: 1, noNaN: true }), { minLength: 64, maxLength: 64 }),
      fc.integer({ min: -30, max: 14 }),
    )
    .map(([values, exponent]) => Float32Array.from(values, (value) => value * 2 ** exponent));

  const both = (type: (typeof TYPES)[number], values: Float32Array): { bytes: Uint8Array; back: Float32Array } => {
    const { elements, bytes: size } = BLOCKS[type];
    const bytes = new Uint8Array((values.length / elements) * size);
    expect(quantize(type, values, bytes)).toBe(-1);
    const back = new Float32Array(values.length);
    dequantize(type, bytes, back);
    return { bytes, back };
  };

  /**
   * The largest error of a block: half a step, or a whole step at the end of the range that a symmetric type does not
   * have; plus the rounding of the scale (and the minimum) to float16, 2^-11 relative or 2^-25 absolute below its
   * normal range, times the largest integer.
   */
  function bound(type: (typeof TYPES)[number], block: Float32Array): number {
    const low = Math.min(...block);
    const high = Math.max(...block);
    const extreme = Math.max(-low, high);
    const rounding = (value: number): number => Math.abs(value) * 2 ** -11 + 2 ** -25;
    switch (type) {
      case 'Q8_0':
        return (extreme / 127) * 0.5001 + 127 * rounding(extreme / 127);
      case 'Q4_0':
        return (extreme / 8) * 1.0001 + 8 * rounding(extreme / 8);
      case 'Q5_0':
        return (extreme / 16) * 1.0001 + 16 * rounding(extreme / 16);
      default: {
        const largest = type === 'Q4_1' ? 15 : 31;
        const step = (high - low) / largest;
        return step * 0.5001 + largest * rounding(step) + rounding(low);
      }
    }
  }

  it.each(TYPES)('keeps %s within its bound', (type) => {
    fc.assert(
      fc.property(blocks, (values) => {
        const { back } = both(type, values);
        for (let start = 0; start < values.length; start += 32) {
          const block = values.subarray(start, start + 32);
          const limit = bound(type, block);
          for (const [index, value] of block.entries())
            expect(Math.abs(back[start + index]! - value)).toBeLessThanOrEqual(limit);
        }
      }),
      { numRuns: 300, seed: 4 },
    );
  });

  it.each(TYPES)('gives zeros back as zeros, and the end of a range exactly where float16 can (%s)', (type) => {
    expect(both(type, new Float32Array(32)).back.every((value) => value === 0)).toBe(true);
    const values = new Float32Array(32);
    const largest = { Q8_0: 127, Q4_0: 8, Q5_0: 16, Q4_1: 15, Q5_1: 31 }[type];
    values[31] = -largest / 4;
    expect(both(type, values).back).toEqual(values);
  });

  it('reports what does not fit, by its block', () => {
    const misfit = (type: WritableType, value: number): number => {
      const values = new Float32Array(96);
      values[70] = value;
      return quantize(type, values, new Uint8Array(96 * 4));
    };
    for (const type of TYPES) {
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -3e38])
        expect(misfit(type, value)).toBe(64);
      expect(misfit(type, 1)).toBe(-1);
    }
    expect(misfit('F16', 65520)).toBe(70);
    expect(misfit('F16', 65519)).toBe(-1);
    expect(misfit('F16', Number.POSITIVE_INFINITY)).toBe(-1);
    expect(misfit('F32', Number.NaN)).toBe(-1);
    expect(misfit('BF16', 3e38)).toBe(-1);
    expect(misfit('BF16', 3.4e38)).toBe(70);
  });
});
