/** The gated recurrent unit (arXiv 1406.1078), with the gates and weights of PyTorch's `nn.GRU`. */
import type { Backend, Tensor } from '@mamba/core';
import { scoped } from '@mamba/core/toolkit';
import { beginning, type RecurrenceOptions, walk } from '../shared/steps.ts';

/** The weights of a GRU, in PyTorch's layout. */
export type GruWeights<T> = {
  /** `[3 hidden, inputs]`: the rows of the gates r and z, and of the candidate n. */
  readonly weightIh: T;
  /** `[3 hidden, hidden]` */
  readonly weightHh: T;
  /** `[3 hidden]` */
  readonly biasIh?: T | undefined;
  /** `[3 hidden]`; that of n is inside the factor r. */
  readonly biasHh?: T | undefined;
};

/** `[batch, hidden]`: the output of the last token. */
export interface GruState<T> {
  readonly h: T;
}

/**
 * The recurrence over x `[batch, length, inputs]`, with a = weightIh x_t + biasIh and b = weightHh h_(t-1) + biasHh in
 * three parts each:
 *
 *     r = sigmoid(a_r + b_r)      z = sigmoid(a_z + b_z)      n = tanh(a_n + r b_n)
 *     h_t = n + z (h_(t-1) - n)
 *
 * It is composed of the backend's operations: one product for the inputs of all tokens, and then a product and a dozen
 * small operations for each token, one after the other. The caller disposes the results.
 * @returns y `[batch, length, hidden]`, which is h of every token, and the state after the last one.
 * @throws MambaError `invalid-argument` where shapes do not agree.
 */
export function gru(
  backend: Backend,
  x: Tensor,
  { weightIh, weightHh, biasIh, biasHh }: GruWeights<Tensor>,
  { initialState, resets }: RecurrenceOptions<GruState<Tensor>> = {},
): { readonly y: Tensor; readonly lastState: GruState<Tensor> } {
  return scoped((scope) => {
    const gates = scope.own(backend.linear(x, weightIh, biasIh));
    const [batch, length] = x.shape as [number, number];
    const hidden = weightHh.shape[1]!;
    const first = { h: beginning(backend, scope, initialState?.h, batch, hidden) };
    const states = walk(backend, scope, length, first, resets, (step, t, { h }) => {
      const fromInput = step.own(backend.slice(gates, 1, t, t + 1));
      const fromState = step.own(backend.linear(h, weightHh, biasHh));
      const part = (of: Tensor, start: number, end: number): Tensor =>
        step.own(backend.slice(of, 2, start * hidden, end * hidden));
      const both = step.own(backend.add(part(fromInput, 0, 2), part(fromState, 0, 2)));
      const reset = step.own(backend.multiply(part(both, 0, 1), part(fromState, 2, 3), { activation: 'sigmoid' }));
      const sum = step.own(backend.add(part(fromInput, 2, 3), reset));
      const candidate = step.own(backend.multiply(sum, undefined, { activation: 'tanh' }));
      const negative = step.own(backend.multiply(candidate, undefined, { scale: -1 }));
      const difference = step.own(backend.add(h, negative));
      const kept = step.own(backend.multiply(part(both, 1, 2), difference, { activation: 'sigmoid' }));
      return { h: step.own(backend.add(candidate, kept)) };
    });
    const h = scope.own(backend.reshape(states.at(-1)!.h, [batch, hidden]));
    const y = backend.concat(
      states.map((state) => state.h),
      1,
    );
    return { y, lastState: { h: scope.release(h) } };
  });
}
