/** Halves in tensors of floats, for kernels that store them. */
import { float16ToNumber, narrowFloats } from '@mamba/core/toolkit';

/** Multiples of 1/64 below 1, which halves hold exactly. */
export const exact = (length: number, step: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length }, (_, i) => (((i * step) % 127) - 63) / 64);

/** Halves at the beginning of memory for as many floats. */
export function packed(values: Float32Array): Float32Array<ArrayBuffer> {
  const memory = new Uint16Array(2 * values.length);
  narrowFloats(values, memory, 'float16');
  return new Float32Array(memory.buffer);
}

/** The halves at the beginning of memory, as many as it has floats. */
export function unpacked(memory: ArrayLike<number>): Float32Array {
  const bits = new Uint16Array(Float32Array.from(memory).buffer);
  return Float32Array.from({ length: memory.length }, (_, index) => float16ToNumber(bits[index]!));
}
