import type { ArgsortCall } from '@mamba/core/driver';
import { type Input, integers, type Storage } from '../storage.ts';

/** The indices that sort each row. The engine's sort is stable, as ECMAScript 2019 asks. */
export function argsort({ keys, rows, length }: ArgsortCall<Input>): Storage {
  const values = integers(keys);
  const order = new Int32Array(rows * length);
  for (let row = 0; row < rows; row++) {
    const at = row * length;
    const indices = Array.from({ length }, (_, index) => index);
    order.set(
      indices.sort((a, b) => values[at + a]! - values[at + b]!),
      at,
    );
  }
  return order;
}
