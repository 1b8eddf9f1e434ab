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
  const widen = dtype === 'float16' ? float16ToNumber : bfloat16ToNumber;
  for (let index = 0; index < data.length; index++) target[index] = widen(data[index]!);
}

/** Converts IEEE binary16 bits to a number, including subnormals, infinities and NaN. */
export function float16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  // The same exponent and fraction as a float32 are the value times 2^-112, exactly, subnormals included.
  words[0] = (bits & 0x7fff) << 13;
  return sign * floats[0]! * BIASES;
}

/** Converts a number to IEEE binary16 bits, rounded to nearest, ties to even. */
export function numberToFloat16(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  if (magnitude < 2 ** -14) return sign | roundHalfEven(magnitude * 2 ** 24);
  const exponent = Math.floor(Math.log2(magnitude));
  // log2 may round up to the next integer just below a power of two.
  const scale = 2 ** (magnitude < 2 ** exponent ? exponent - 1 : exponent);
  const fraction = roundHalfEven((magnitude / scale - 1) * 1024);
  return sign | (((Math.log2(scale) + 15) << 10) + fraction);
}

/** Converts bfloat16 bits, the upper half of a float32, to a number. */
export function bfloat16ToNumber(bits: number): number {
  words[0] = bits << 16;
  return floats[0]!;
}

/** Converts a number to bfloat16 bits: its float32 value rounded to nearest, ties to even. */
export function numberToBfloat16(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  floats[0] = value;
  const word = words[0]!;
  return ((word + 0x7fff + ((word >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The power of two between the exponent biases of float32 and binary16. */
const BIASES = 2 ** (127 - 15);
const floats = new Float32Array(1);
const words = new Uint32Array(floats.buffer);

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
