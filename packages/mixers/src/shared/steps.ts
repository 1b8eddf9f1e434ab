/** What recurrences share that take one token after the other. */
import type { Backend, Tensor } from '@mamba/core';
import { type Scope, scoped } from '@mamba/core/toolkit';
import { filled } from './tensors.ts';

/** Where a recurrence starts from, and where it starts anew. */
export interface RecurrenceOptions<State> {
  /** Zero if absent. */
  readonly initialState?: State | undefined;
  /** int32 `[batch, length]`. Where it is not 0, the state before that token is zero. */
  readonly resets?: Tensor | undefined;
}

/** The state of a recurrence: tensors `[batch, 1, channels]` by name. */
type StepState = Readonly<Record<string, Tensor>>;

/**
 * Walks over the tokens and returns the state after each of them, all owned by `scope`.
 * @param first The state before the first token.
 * @param resets int32 `[batch, length]`: the state before a marked token is zero.
 * @param step Computes the state after token t. The scope that it gets frees everything but that state.
 */
export function walk<State extends StepState>(
  backend: Backend,
  scope: Scope,
  length: number,
  first: State,
  resets: Tensor | undefined,
  step: (scope: Scope, t: number, before: State) => State,
): readonly State[] {
  const states: State[] = [];
  for (let t = 0; t < length; t++) {
    const after = scoped((own) => {
      const before = states.at(-1) ?? first;
      const state = step(own, t, resets === undefined ? before : cleared(backend, own, before, t, resets));
      for (const tensor of Object.values(state)) own.release(tensor);
      return state;
    });
    for (const tensor of Object.values(after)) scope.own(tensor);
    states.push(after);
  }
  return states;
}

/** A part of the state before the first token: `[batch, 1, channels]` of what the caller gave, or zeros. */
export function beginning(
  backend: Backend,
  scope: Scope,
  given: Tensor | undefined,
  batch: number,
  channels: number,
): Tensor {
  const shape = [batch, 1, channels];
  return given === undefined ? filled(backend, scope, shape, 0) : scope.own(backend.reshape(given, shape));
}

/**
 * The state with zeros in the rows that have a mark at token t. A convolution with the taps 1 and 0 gives the input
 * before a token, and that is 0 after a reset. The state is this input, so that not even NaN gets past a reset.
 */
function cleared<State extends StepState>(
  backend: Backend,
  scope: Scope,
  state: State,
  t: number,
  resets: Tensor,
): State {
  const marks = scope.own(backend.slice(resets, 1, t, t + 1));
  const entries = Object.entries(state).map(([name, tensor]): [string, Tensor] => {
    const [batch, , channels] = tensor.shape as [number, number, number];
    const data = Float32Array.from({ length: 2 * channels }, (_, index) => 1 - (index % 2));
    const taps = scope.own(backend.upload({ dtype: 'float32', shape: [channels, 2], data }));
    const initialState = scope.own(backend.reshape(tensor, [batch, channels, 1]));
    const nothing = filled(backend, scope, [batch, 1, channels], 0);
    const { y, lastState } = backend.causalConv1d(nothing, taps, undefined, { initialState, resets: marks });
    scope.own(lastState);
    return [name, scope.own(y)];
  });
  return Object.fromEntries(entries) as State;
}
