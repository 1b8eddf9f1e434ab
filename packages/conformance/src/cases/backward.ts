import type { BackwardOperations, HostTensor, Shape, TensorSpec } from '@mamba/core';
import { Random } from '../random.ts';
import { type Named, type OperationCase, operationCase, type Tolerance } from './case.ts';
import { normals } from './host.ts';

export interface BackwardCaseDefinition<K extends keyof BackwardOperations<unknown>> {
  readonly operation: K;
  /** The shape of the forward result. */
  readonly shape: Shape;
  /** Default: the forward case's. */
  readonly tolerance?: Tolerance | undefined;
  /** Optional. Changes the cotangent after it was made. */
  readonly edit?: ((dy: HostTensor) => void) | undefined;
  /** The arguments, from the named inputs with the cotangent as `dy`. */
  arguments<T extends TensorSpec>(tensors: Named<T>): unknown[];
}

/** The gradients of a case's inputs, for a seeded cotangent of its result. */
export function backwardCase<K extends keyof BackwardOperations<unknown>>(
  forward: OperationCase,
  { operation, shape, tolerance = forward.tolerance, edit, ...definition }: BackwardCaseDefinition<K>,
): OperationCase<K> {
  return operationCase({
    operation,
    id: forward.id.replace('/', '-backward/'),
    seed: forward.seed,
    optional: true,
    sizes: forward.sizes,
    tolerance,
    build() {
      const dy = normals(new Random(forward.seed + 1), shape);
      edit?.(dy);
      return { ...forward.build(), dy: { host: dy } };
    },
    arguments: definition.arguments,
  });
}
