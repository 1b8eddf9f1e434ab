import { describe, expect, it } from 'vitest';
import { MambaError } from '../contract/errors.ts';
import type { DType, HostTensor } from '../contract/tensor.ts';
import { checkFits, expectationOf, holds } from './fits.ts';
import { numberToBfloat16, numberToFloat16 } from './floats.ts';

const { POSITIVE_INFINITY: inf, NaN: nan } = Number;
const LARGEST = 2 ** 128 - 2 ** 104;

/** A matrix [2, 3] with `value` at [1, 1]. */
function matrix(value: number, dtype: HostTensor['dtype'] = 'float32'): HostTensor {
  const values = [1, -2, 3, 4, value, 0.5];
  const shape = [2, 3];
  if (dtype === 'float32') return { dtype, shape, data: Float32Array.from(values) };
  if (dtype === 'float64') return { dtype, shape, data: Float64Array.from(values) };
  if (dtype === 'int32') return { dtype, shape, data: Int32Array.from(values) };
  return { dtype, shape, data: Uint16Array.from(values, dtype === 'float16' ? numberToFloat16 : numberToBfloat16) };
}

function refusal(host: HostTensor, type: DType, first?: number): MambaError | undefined {
  try {
    checkFits('layers.3.block.inProj', host, type, { first });
  } catch (error) {
    if (error instanceof MambaError) return error;
    throw error;
  }
  return undefined;
}

describe('a value that its type cannot hold', () => {
  it.each([
    ['float16', 65519.99, 65520],
    ['float16', -65519.99, -70000],
    ['float16', 65504, 1e38],
    ['bfloat16', 3.39e38, LARGEST],
    ['q8', LARGEST, inf],
    ['q8', -LARGEST, nan],
    ['q4', LARGEST, -inf],
    ['q4', 1e-45, nan],
  ] as const)('%s: %d fits, %d does not', (type, fits, not) => {
    expect(refusal(matrix(fits), type)).toBeUndefined();
    expect(refusal(matrix(Math.fround(not)), type)).toMatchObject({
      code: 'invalid-argument',
      origin: 'layers.3.block.inProj',
      given: `${Math.fround(not)} at [1, 1]`,
      message: expect.stringContaining(`does not fit ${type}`),
      remedy: expect.stringContaining('float32'),
    });
    expect([holds(type, fits), holds(type, not)]).toEqual([true, false]);
  });

  it('is told by its row, where rows come one after another', () => {
    expect(refusal(matrix(70000), 'float16', 40)?.given).toBe('70000 at [41, 1]');
  });

  it('is told to be kept in what holds it', () => {
    expect(refusal(matrix(70000), 'float16')?.remedy).toBe('Keep it in float32 or bfloat16.');
    expect(refusal(matrix(LARGEST), 'bfloat16')?.remedy).toBe('Keep it in float32.');
    expect(refusal(matrix(nan), 'q8')?.remedy).toBe('Keep it in float32 or bfloat16.');
    expect(refusal(matrix(1e39, 'float64'), 'float32')?.remedy).toContain('Mend the weight');
  });

  it('is found in halves and doubles as well', () => {
    expect(refusal(matrix(70000, 'bfloat16'), 'float16')?.given).toContain('[1, 1]');
    expect(refusal(matrix(inf, 'float16'), 'q8')?.given).toBe('Infinity at [1, 1]');
    expect(refusal(matrix(nan, 'bfloat16'), 'q4')?.given).toBe('NaN at [1, 1]');
    expect(refusal(matrix(1e39, 'float64'), 'q8')?.given).toContain('1e+39');
    expect(refusal(matrix(65504, 'float16'), 'q8')).toBeUndefined();
  });

  it('is none where an infinity stays one, and a NaN a NaN', () => {
    for (const type of ['float32', 'bfloat16', 'float16', 'float64'] as const)
      for (const value of [inf, -inf, nan]) expect(refusal(matrix(value), type)).toBeUndefined();
  });

  it('has its bound in words', () => {
    expect((['float16', 'bfloat16', 'q8'] as const).map(expectationOf)).toEqual([
      'values below 65520',
      'values below 3.3962e+38',
      'finite values',
    ]);
  });
});
