/** Halves in tensors of floats, for kernels that store them. */

/** Multiples of 1/64 below 1, which halves hold exactly. */
export const exact = (length: number, step: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length }, (_, i) => (((i * step) % 127) - 63) / 64);

/** The bits of a small multiple of a power of two as a half. */
function halfBits(value: number): number {
  if (value === 0) return 0;
  const exponent = Math.floor(Math.log2(Math.abs(value)));
  const mantissa = Math.round((Math.abs(value) / 2 ** exponent - 1) * 1024);
  return (value < 0 ? 0x8000 : 0) | ((exponent + 15) << 10) | mantissa;
}

function halfOf(bits: number): number {
  const magnitude = (1 + (bits & 0x3ff) / 1024) * 2 ** (((bits >> 10) & 0x1f) - 15);
  return (bits & 0x7fff) === 0 ? 0 : bits & 0x8000 ? -magnitude : magnitude;
}

/** Halves at the beginning of memory for as many floats. */
export function packed(values: Float32Array): Float32Array<ArrayBuffer> {
  const memory = new Uint16Array(2 * values.length);
  values.forEach((value, index) => {
    memory[index] = halfBits(value);
  });
  return new Float32Array(memory.buffer);
}

/** The halves at the beginning of memory, as many as it has floats. */
export function unpacked(memory: ArrayLike<number>): Float32Array {
  const bits = new Uint16Array(Float32Array.from(memory).buffer);
  return Float32Array.from({ length: memory.length }, (_, index) => halfOf(bits[index]!));
}
