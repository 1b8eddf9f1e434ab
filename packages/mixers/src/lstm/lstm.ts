/** The long short-term memory (Hochreiter and Schmidhuber 1997), with the gates and weights of PyTorch's `nn.LSTM`. */
import type { Backend, Tensor } from '@mamba/core';
import { scoped } from '@mamba/core/toolkit';
import { beginning, type RecurrenceOptions, walk } from '../shared/steps.ts';

/** The weights of an LSTM, in PyTorch's layout. */
export type LstmWeights<T> = {
  /** `[4 hidden, inputs]`: the rows of the gates i, f, g and o. */
  readonly weightIh: T;
  /** `[4 hidden, hidden]` */
  readonly weightHh: T;
  /** `[4 hidden]` */
  readonly biasIh?: T | undefined;
  /** `[4 hidden]` */
  readonly biasHh?: T | undefined;
};

/** Both `[batch, hidden]`. */
export interface LstmState<T> {
  /** The output of the last token. */
  readonly h: T;
  /** The cell. */
  readonly c: T;
}

/**
 * The recurrence over x `[batch, length, inputs]`:
 *
 *     i, f, g, o = weightIh x_t + biasIh + weightHh h_(t-1) + biasHh
 *     c_t = sigmoid(f) c_(t-1) + sigmoid(i) tanh(g)
 *     h_t = sigmoid(o) tanh(c_t)
 *
 * It is composed of the backend's operations: one product for the inputs of all tokens, and then a product and a dozen
 * small operations for each token, one after the other. The caller disposes the results.
 * @returns y `[batch, length, hidden]`, which is h of every token, and the state after the last one.
 * @throws MambaError `invalid-argument` where shapes do not agree.
 */
export function lstm(
  backend: Backend,
  x: Tensor,
  { weightIh, weightHh, biasIh, biasHh }: LstmWeights<Tensor>,
  { initialState, resets }: RecurrenceOptions<LstmState<Tensor>> = {},
): { readonly y: Tensor; readonly lastState: LstmState<Tensor> } {
  return scoped((scope) => {
    const gates = scope.own(backend.linear(x, weightIh, biasIh));
    const [batch, length] = x.shape as [number, number];
    const hidden = weightHh.shape[1]!;
    const begin = (given: Tensor | undefined): Tensor => beginning(backend, scope, given, batch, hidden);
    const first = { h: begin(initialState?.h), c: begin(initialState?.c) };
    const states = walk(backend, scope, length, first, resets, (step, t, { h, c }) => {
      const fromInput = step.own(backend.slice(gates, 1, t, t + 1));
      const fromState = step.own(backend.linear(h, weightHh, biasHh));
      const sum = step.own(backend.add(fromInput, fromState));
      const gate = (index: number): Tensor => step.own(backend.slice(sum, 2, index * hidden, (index + 1) * hidden));
      const candidate = step.own(backend.multiply(gate(2), undefined, { activation: 'tanh' }));
      const entering = step.own(backend.multiply(gate(0), candidate, { activation: 'sigmoid' }));
      const kept = step.own(backend.multiply(gate(1), c, { activation: 'sigmoid' }));
      const cell = step.own(backend.add(kept, entering));
      const bounded = step.own(backend.multiply(cell, undefined, { activation: 'tanh' }));
      return { h: step.own(backend.multiply(gate(3), bounded, { activation: 'sigmoid' })), c: cell };
    });
    const last = states.at(-1)!;
    const h = scope.own(backend.reshape(last.h, [batch, hidden]));
    const c = scope.own(backend.reshape(last.c, [batch, hidden]));
    const y = backend.concat(
      states.map((state) => state.h),
      1,
    );
    return { y, lastState: { h: scope.release(h), c: scope.release(c) } };
  });
}
