/** Central differences, which gradients are compared with. */
import type { Backend, Tensor } from '@mamba/core';
import { expect } from 'vitest';
import { tensor } from './values.ts';

export interface Values {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}
export type Inputs = Readonly<Record<string, Values>>;

/** Seeded random numbers between min and max (mulberry32). */
export function randomSource(seed: number): (shape: readonly number[], min: number, max: number) => Values {
  const next = (): number => {
    seed = (seed + 0x6d2b79f5) | 0;
    let word = Math.imul(seed ^ (seed >>> 15), seed | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
  return (shape, min, max) => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    return { shape, data: Float64Array.from({ length: size }, () => min + (max - min) * next()) };
  };
}

/**
 * Compares the gradient of every input with (L(x + h) - L(x - h)) / 2h, where L is the sum of the forward results times
 * the cotangents. With h = 1e-5 and values of about 1 the difference has an error of about 1e-10 (h² from the truncated
 * series, 1e-16 / h from rounding).
 */
export async function checkGradients(
  backend: Backend,
  inputs: Inputs,
  cotangents: Readonly<Record<string, Values | undefined>>,
  forward: (tensors: Record<string, Tensor>) => Readonly<Record<string, Tensor>>,
  backward: (tensors: Record<string, Tensor>, cotangents: Record<string, Tensor>) => object,
): Promise<void> {
  const before = backend.memory();
  const upload = (values: Inputs): Record<string, Tensor> =>
    Object.fromEntries(Object.entries(values).map(([name, { shape, data }]) => [name, tensor(backend, shape, data)]));
  const loss = async (values: Inputs): Promise<number> => {
    const tensors = upload(values);
    const results = forward(tensors);
    let sum = 0;
    for (const [name, result] of Object.entries(results)) {
      const data = await backend.read(result);
      for (const [i, cotangent] of cotangents[name]?.data.entries() ?? []) sum += data[i]! * cotangent;
    }
    for (const held of [...Object.values(results), ...Object.values(tensors)]) held.dispose();
    return sum;
  };

  const tensors = upload(inputs);
  const given = Object.entries(cotangents).filter((entry): entry is [string, Values] => entry[1] !== undefined);
  const uploaded = upload(Object.fromEntries(given));
  const gradients = backward(tensors, uploaded) as Record<string, Tensor>;
  expect(Object.keys(gradients).sort()).toEqual(Object.keys(inputs).sort());

  for (const [name, { shape, data }] of Object.entries(inputs)) {
    expect(gradients[name]!.shape).toEqual(shape);
    const gradient = await backend.read(gradients[name]!);
    const scale = Math.max(1, ...gradient.map(Math.abs));
    for (const index of data.keys()) {
      const shifted = (by: number): Inputs => ({
        ...inputs,
        [name]: { shape, data: data.with(index, data[index]! + by) },
      });
      const h = 1e-5;
      const difference = ((await loss(shifted(h))) - (await loss(shifted(-h)))) / (2 * h);
      expect(Math.abs(gradient[index]! - difference) / scale, `${name}[${index}]`).toBeLessThan(2e-8);
    }
  }
  for (const held of [...Object.values(uploaded), ...Object.values(tensors), ...Object.values(gradients)])
    held.dispose();
  expect(backend.memory()).toEqual(before);
}
