import { invalid } from '../contract/errors.ts';
import type { HostTensor } from '../contract/tensor.ts';

/**
 * Copies the floats of a host tensor into `target` and converts them to its type. Drivers use it to write into device
 * memory.
 * @throws MambaError `invalid-argument` on int32.
 */
export function copyFloats(host: HostTensor, target: Float32Array | Float64Array): void {
  const { dtype, data } = host;
  if (dtype === 'int32') throw invalid('copyFloats', dtype, 'a float dtype');
  if (dtype === 'float32' || dtype === 'float64') {
    target.set(data);
    return;
  }
  if (dtype === 'bfloat16' && target instanceof Float32Array) {
    const bits = new Uint32Array(target.buffer, target.byteOffset, data.length);
    for (let index = 0; index < data.length; index++) bits[index] = data[index]! << 16;
    return;
  }
  if (dtype === 'float16') {
    const numbers = float16Numbers();
    for (let index = 0; index < data.length; index++) target[index] = numbers[data[index]!]!;
  } else {
    for (let index = 0; index < data.length; index++) target[index] = bfloat16ToNumber(data[index]!);
  }
}

/** Rounds floats into `target`, each as `numberToFloat16` or `numberToBfloat16` does. */
export function narrowFloats(
  values: Float32Array | Float64Array,
  target: Uint16Array,
  dtype: 'float16' | 'bfloat16',
): void {
  if (values instanceof Float64Array) {
    const narrow = dtype === 'float16' ? numberToFloat16 : numberToBfloat16;
    for (let index = 0; index < values.length; index++) target[index] = narrow(values[index]!);
    return;
  }
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  if (dtype === 'float16') {
    for (let index = 0; index < bits.length; index++) target[index] = float16Of(bits[index]!);
  } else {
    for (let index = 0; index < bits.length; index++) target[index] = bfloat16Of(bits[index]!);
  }
}

/** Converts IEEE binary16 bits to a number, including subnormals, infinities and NaN. */
export function float16ToNumber(bits: number): number {
  return float16Numbers()[bits & 0xffff]!;
}

/** Converts a number to IEEE binary16 bits, rounded to nearest, ties to even. */
export function numberToFloat16(value: number): number {
  floats[0] = value;
  const rounded = floats[0];
  let bits = words[0]!;
  // Rounding twice, to float32 and then to float16, is right where the first is towards zero and keeps in its last bit
  // whether anything was cut.
  if (rounded !== value && !Number.isNaN(value)) bits = (Math.abs(rounded) > Math.abs(value) ? bits - 1 : bits) | 1;
  return float16Of(bits);
}

/** Converts bfloat16 bits, the upper half of a float32, to a number. */
export function bfloat16ToNumber(bits: number): number {
  words[0] = bits << 16;
  return floats[0]!;
}

/** Converts a number to bfloat16 bits: its float32 value rounded to nearest, ties to even. */
export function numberToBfloat16(value: number): number {
  floats[0] = value;
  return bfloat16Of(words[0]!);
}

const floats = new Float32Array(1);
const words = new Uint32Array(floats.buffer);

/** The number of each pattern of 16 bits: a lookup takes a tenth of the time of the arithmetic. */
function float16Numbers(): Float32Array {
  if (ofFloat16 !== undefined) return ofFloat16;
  ofFloat16 = new Float32Array(2 ** 16);
  const bits = new Uint32Array(ofFloat16.buffer);
  for (let pattern = 0; pattern < 2 ** 16; pattern++) {
    // The same exponent and fraction as a float32 are the value times 2^-112, exactly, subnormals included.
    bits[pattern] = ((pattern & 0x8000) << 16) | ((pattern & 0x7fff) << 13);
    ofFloat16[pattern]! *= 2 ** 112;
    if ((pattern & 0x7c00) === 0x7c00) bits[pattern]! |= 0x7f800000;
  }
  return ofFloat16;
}

let ofFloat16: Float32Array | undefined;

/** The binary16 bits of the bits of a float32. */
function float16Of(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return 0x7e00;
  // From 2^16 on. Between 65520 and there the rounding below carries into the exponent, which gives infinity as well.
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  // Below 2^-14 results are multiples of 2^-24, which is the last bit of a float32 between a half and one.
  if (magnitude < 0x38800000) {
    words[0] = magnitude;
    floats[0] = floats[0]! + 0.5;
    return sign | (words[0]! - 0x3f000000);
  }
  // The exponents' biases differ by 112. Half a unit less one, and one where the last kept bit is odd.
  return sign | ((magnitude - (112 << 23) + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}

/** The bfloat16 bits of the bits of a float32. */
function bfloat16Of(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fc0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}
