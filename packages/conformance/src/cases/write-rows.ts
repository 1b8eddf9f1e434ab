import type { Backend, Tensor, TensorSpec } from '@mamba/core';
import { Random } from '../random.ts';
import { EXACT, type Named, type OperationCase, type Outputs, operationCase } from './case.ts';
import { integers, normals } from './host.ts';

/**
 * Sizes and options of a case of `writeRows`: rows `[batch, length, channels]` to a target `[batch, capacity,
 * channels]`.
 */
export interface WriteRowsCaseOptions {
  readonly batch: number;
  readonly capacity: number;
  readonly length: number;
  readonly channels: number;
  readonly offset?: number | undefined;
  readonly offsets?: readonly number[] | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
}

/** The target after the rows were written. It is copied first, so that a case can run again. */
export function writeRowsCase(options: WriteRowsCaseOptions): OperationCase<'writeRows'> {
  const { batch, capacity, length, channels, offset, offsets, seed = 1 } = options;
  const inputs = <T extends TensorSpec>(tensors: Named<T>): unknown[] => [
    tensors.target,
    tensors.rows,
    { offset, offsets: tensors.offsets },
  ];
  return operationCase({
    operation: 'writeRows',
    id: `write-rows/${options.id ?? `b${batch}-c${capacity}-l${length}-d${channels}`}`,
    seed,
    sizes: { batch, capacity, length, channels, offset: offset ?? 'none' },
    tolerance: EXACT,
    optional: true,
    build() {
      const random = new Random(seed);
      return {
        target: { host: normals(random, [batch, capacity, channels]) },
        rows: { host: normals(random, [batch, length, channels]) },
        ...(offsets && { offsets: { host: integers([batch], (index) => offsets[index]!) } }),
      };
    },
    arguments: inputs,
    call(backend: Backend, tensors: Named<Tensor>): Outputs {
      const target = backend.slice(tensors.target!, 0, 0, batch);
      try {
        backend.writeRows(...(inputs({ ...tensors, target }) as Parameters<Backend['writeRows']>));
        return { target };
      } catch (error) {
        target.dispose();
        throw error;
      }
    },
  });
}
