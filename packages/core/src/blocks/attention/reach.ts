/** How far back the tokens of a call see: to the beginning of their sequence, which resets move. */
import { type Scope, scoped } from '../../backend/scope.ts';
import type { Backend } from '../../contract/backend.ts';
import type { Tensor } from '../../contract/tensor.ts';
import type { BlockCall } from '../contract.ts';
import { sharedSlot } from '../growing.ts';
import { isZero, noteZeros } from '../zeros.ts';

/** How far back the tokens of a call see, and what the state notes of it. */
export interface Reach {
  /**
   * `[batch, length, 1]`: the number of tokens of its own sequence that each token sees, itself included. Undefined
   * where every row is one sequence from its first token on. It belongs to the scope.
   */
  readonly reach: Tensor | undefined;
  /** `[batch, 1]`: the slot `begun` after the call. It belongs to the scope. */
  readonly begun: Tensor;
}

/** The reach of a call's tokens, by a scan only where a row may hold several sequences. */
export function reachOf(backend: Backend, scope: Scope, call: Omit<BlockCall, 'x'>): Reach {
  const { state, resets, batch } = call;
  const before = state?.begun;
  if (resets === undefined && (before === undefined || isZero(before))) {
    const kept = before && sharedSlot(before);
    return { reach: undefined, begun: scope.own(kept ?? noteZeros(filled(backend, [batch, 1], 0))) };
  }
  const { reach, begun } = counted(backend, call);
  return { reach: scope.own(reach), begun: scope.own(begun) };
}

/**
 * Counts by a scan that adds 1 a token and begins anew at resets. A quarter more than the count is given, so that no
 * rounding, of the scan or of whoever compares with it, takes a token away.
 */
function counted(
  backend: Backend,
  { state, resets, positions, batch, length }: Omit<BlockCall, 'x'>,
): { readonly reach: Tensor; readonly begun: Tensor } {
  return scoped((scope) => {
    const column = (values: readonly number[]): Tensor =>
      scope.own(backend.upload({ dtype: 'float32', shape: [batch, 1], data: Float32Array.from(values) }));
    const difference = (a: Tensor, b: Tensor): Tensor =>
      scope.own(backend.add(a, scope.own(backend.multiply(b, undefined, { scale: -1 }))));
    const constant = (shape: readonly number[], value: number): Tensor => scope.own(filled(backend, shape, value));
    const fed = column(positions);
    const age = state?.begun === undefined ? fed : difference(fed, state.begun);
    const one = constant([1, 1], 1);
    const ones = constant([batch, length, 1], 1);
    const count = backend.selectiveScan(ones, ones, constant([1, 1], 0), one, one, {
      D: constant([1], 0.25),
      initialState: scope.own(backend.reshape(age, [batch, 1, 1])),
      resets,
    });
    scope.own(count.y);
    scope.own(count.lastState);
    const after = scope.own(backend.reshape(count.lastState, [batch, 1]));
    const begun = difference(column(positions.map((position) => position + length)), after);
    return { reach: scope.release(count.y), begun: scope.release(begun) };
  });
}

function filled(backend: Backend, shape: readonly number[], value: number): Tensor {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return backend.upload({ dtype: 'float32', shape, data: new Float32Array(size).fill(value) });
}
