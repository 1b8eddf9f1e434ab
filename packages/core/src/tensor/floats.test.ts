import { describe, expect, it } from 'vitest';
import {
  bfloat16ToNumber,
  copyFloats,
  float16ToNumber,
  narrowFloats,
  numberToBfloat16,
  numberToFloat16,
} from './floats.ts';

const { POSITIVE_INFINITY: inf, NaN: nan } = Number;

describe('float16', () => {
  it('every one of the 65536 bit patterns survives, NaN as a NaN', () => {
    for (let bits = 0; bits < 65536; bits++) {
      const value = float16ToNumber(bits);
      const noNumber = (bits & 0x7fff) > 0x7c00;
      if (Number.isNaN(value) !== noNumber) expect.fail(`0x${bits.toString(16)} is ${value}`);
      if (noNumber ? (numberToFloat16(value) & 0x7fff) <= 0x7c00 : numberToFloat16(value) !== bits)
        expect.fail(`0x${bits.toString(16)} became 0x${numberToFloat16(value).toString(16)}`);
    }
  });

  it('goes up with its bits, from zero to infinity', () => {
    for (let bits = 0; bits < 0x7c00; bits++) {
      if (!(float16ToNumber(bits) < float16ToNumber(bits + 1))) expect.fail(`0x${bits.toString(16)}`);
    }
  });

  it('rounds to the nearest, ties to even, everywhere between two neighbours', () => {
    for (let bits = 0; bits < 0x7bff; bits++) {
      const [low, high] = [float16ToNumber(bits), float16ToNumber(bits + 1)];
      const middle = (low + high) / 2;
      const nudge = (high - low) / 1024;
      const got = [middle - nudge, middle, middle + nudge].map(numberToFloat16);
      const expected = [bits, bits % 2 === 0 ? bits : bits + 1, bits + 1];
      if (got.join() !== expected.join()) expect.fail(`0x${bits.toString(16)}: ${got} for ${expected}`);
    }
  });

  it.each([
    [0, 0x0000],
    [-0, 0x8000],
    [1, 0x3c00],
    [-2, 0xc000],
    [65504, 0x7bff],
    [65519.99, 0x7bff],
    [65520, 0x7c00],
    [-1e300, 0xfc00],
    [inf, 0x7c00],
    [2 ** -24, 0x0001],
    [2 ** -25, 0x0000],
    [2 ** -25 * 1.001, 0x0001],
    [5e-324, 0x0000],
  ])('%f is 0x%x', (value, bits) => expect(numberToFloat16(value)).toBe(bits));

  it('keeps the sign of zero', () => expect(float16ToNumber(0x8000)).toBe(-0));
});

describe('bfloat16', () => {
  it('every one of the 65536 bit patterns survives, NaN as a NaN', () => {
    for (let bits = 0; bits < 65536; bits++) {
      const value = bfloat16ToNumber(bits);
      const noNumber = (bits & 0x7fff) > 0x7f80;
      if (Number.isNaN(value) !== noNumber) expect.fail(`0x${bits.toString(16)} is ${value}`);
      if (noNumber ? (numberToBfloat16(value) & 0x7fff) <= 0x7f80 : numberToBfloat16(value) !== bits)
        expect.fail(`0x${bits.toString(16)} became 0x${numberToBfloat16(value).toString(16)}`);
    }
  });

  it.each([
    [1, 0x3f80],
    [1 + 2 ** -8, 0x3f80],
    [1 + 3 * 2 ** -8, 0x3f82],
    [1 + 2 ** -8 + 2 ** -20, 0x3f81],
    [-3.3895313892515355e38, 0xff7f],
    [3.4e38, 0x7f80],
    [-inf, 0xff80],
  ])('%f is 0x%x', (value, bits) => expect(numberToBfloat16(value)).toBe(bits));
});

describe('copyFloats', () => {
  it('widens or rounds into the target', () => {
    const target = new Float64Array(3);
    copyFloats({ dtype: 'float16', shape: [3], data: Uint16Array.of(0x3c00, 0xfc00, 0x7e00) }, target);
    expect([...target]).toEqual([1, -inf, nan]);
    copyFloats({ dtype: 'bfloat16', shape: [3], data: Uint16Array.of(0x3f80, 0xc000, 0x0000) }, target);
    expect([...target]).toEqual([1, -2, 0]);
    const single = new Float32Array(1);
    copyFloats({ dtype: 'float64', shape: [1], data: Float64Array.of(0.1) }, single);
    expect(single[0]).toBe(Math.fround(0.1));
  });

  it('refuses integers', () => {
    const host = { dtype: 'int32', shape: [1], data: Int32Array.of(1) } as const;
    expect(() => copyFloats(host, new Float32Array(1))).toThrow(/float dtype/);
  });
});

describe('narrowFloats', () => {
  const values = [0, -0, 1, -1.0004, 65519.99, 65520, 2 ** -25 * 1.001, 3.4e38, 1e-45, inf, -inf, nan, 1 + 2 ** -11];
  it.each(['float16', 'bfloat16'] as const)('rounds floats to %s as the conversion of a number does', (dtype) => {
    const narrow = dtype === 'float16' ? numberToFloat16 : numberToBfloat16;
    // A piece of a buffer, as the rows of a matrix are.
    for (const from of [Float32Array, Float64Array]) {
      const piece = from.from([7, ...values]).subarray(1);
      const target = new Uint16Array(values.length);
      narrowFloats(piece, target, dtype);
      expect([...target]).toEqual([...piece].map(narrow));
    }
  });

  it('does not round twice where a number has more bits than float32', () => {
    // A little above the middle of 1 and its neighbour: float32 rounds it to the middle, and the middle goes to 1.
    const target = new Uint16Array(2);
    narrowFloats(Float64Array.of(1 + 2 ** -11 + 2 ** -40, -1 - 2 ** -11 + 2 ** -40), target, 'float16');
    expect([...target]).toEqual([0x3c01, 0xbc00]);
  });
});
