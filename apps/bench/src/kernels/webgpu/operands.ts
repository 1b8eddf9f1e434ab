/** Operands and weights for kernels whose time does not depend on values: quick to make, also by the billion. */
import { seededWeights } from '@mamba/conformance';
import {
  type Backend,
  type HostTensor,
  type ModelConfig,
  type ParameterSource,
  sizeOf,
  type Tensor,
} from '@mamba/core';
import { numberToFloat16 } from '@mamba/core/toolkit';
import type { Heat } from './heater.ts';

/** Values within `offset ± scale`. */
export function random(size: number, scale = 1, offset = 0): Float32Array<ArrayBuffer> {
  const values = new Float32Array(size);
  let seed = 123456789;
  for (let i = 0; i < size; i++) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    values[i] = offset + scale * (seed / 2 ** 31 - 1);
  }
  return values;
}

export function tensor(backend: Backend, shape: readonly number[], scale?: number, offset?: number): Tensor {
  const size = sizeOf(shape);
  if (size <= 1 << 20) return backend.upload({ dtype: 'float32', shape, data: random(size, scale, offset) });
  // An upload would take longer than what is measured: a piece is repeated on the device, by halves of an even axis.
  const axis = shape.findIndex((extent) => extent % 2 === 0);
  const half = tensor(backend, shape.with(axis, shape[axis]! / 2), scale, offset);
  const whole = backend.concat([half, half], axis);
  half.dispose();
  return whole;
}

/** A matrix of repeated floats, or of halves of a 32nd of them. */
export function repeatedMatrix(
  dtype: 'float32' | 'float16',
  [rows, columns]: readonly [number, number],
  period: Float32Array<ArrayBuffer>,
): HostTensor {
  const shape = [rows, columns];
  if (dtype === 'float32') return { dtype, shape, data: repeated(new Float32Array(rows * columns), period) };
  return { dtype, shape, data: repeated(new Uint16Array(rows * columns), halves(period)) };
}

/** Seeded vectors, and matrices of halves that repeat: billions of random numbers would take minutes. */
export function repeatedWeights(config: ModelConfig, heat: Heat | undefined): ParameterSource {
  const seeded = seededWeights(config, 1);
  const period = halves(random(1 << 20));
  const known = new Map<string, HostTensor | Promise<HostTensor>>();
  return (parameter) => {
    heat?.(20);
    const { name, kind, role, shape } = parameter;
    // Layers share the weights of the first one of their kind.
    const key = `${kind} ${name.replace(/\.\d+\./, '.')}`;
    const value =
      known.get(key) ??
      (role === 'vector'
        ? seeded(parameter)
        : { dtype: 'float16' as const, shape, data: repeated(new Uint16Array(sizeOf(shape)), period) });
    known.set(key, value);
    return value;
  };
}

function halves(values: Float32Array<ArrayBuffer>): Uint16Array<ArrayBuffer> {
  return Uint16Array.from(values, (value) => numberToFloat16(value / 32));
}

function repeated<T extends Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>>(data: T, period: T): T {
  for (let at = 0; at < data.length; at += period.length) data.set(period.subarray(0, data.length - at), at);
  return data;
}
