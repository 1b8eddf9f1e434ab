import type { HostTensor, Model, ModelState, SampleOptions, Tensor } from '@mamba/core';
import type { Sampling } from '../../sampling/options.ts';
import type { GeneratedToken, Sequence } from './sequence.ts';

/** The state that a strategy continues from: it has been fed all ids of each sequence but the last. */
export interface BatchState {
  /** One row for each sequence; zero if absent. */
  readonly state: ModelState | undefined;
  /** The strategy may give the state to the backend, which disposes it. Otherwise it is left as it was. */
  readonly donate: boolean;
}

/** The result of a strategy. */
export interface Advance {
  /** The new tokens of each sequence. From the first id that is `NOT_FINITE` they are invalid. */
  readonly tokens: readonly (readonly GeneratedToken[])[];
  /** The state after all new tokens but the last; the caller's to dispose. */
  readonly state: ModelState;
}

/** Stands for an id where the logits are not finite, as in the results of the backends' `argmax` and `sample`. */
export const NOT_FINITE = -1;

/** `[sequences][1]`: the input of the next step. */
export function lastIds(sequences: readonly Sequence[]): readonly (readonly number[])[] {
  return sequences.map(({ lastId }) => [lastId]);
}

/** Reads the result of a step and frees its tensors; frees the new state as well if that fails. */
export async function readResult(
  state: ModelState,
  tensors: readonly Tensor[],
  read: () => Promise<Advance['tokens']>,
): Promise<Advance> {
  try {
    return { tokens: await read(), state };
  } catch (error) {
    state.dispose();
    throw error;
  } finally {
    for (const tensor of tensors) tensor.dispose();
  }
}

/** Uploads `[sequences, count]` random numbers; undefined if the sequences take the likeliest token. */
export function uploadUniforms(model: Model, sequences: readonly Sequence[], count: number): Tensor | undefined {
  if (sequences.every(({ uniform }) => uniform === undefined)) return undefined;
  const data = Float64Array.from({ length: sequences.length * count }, (_, at) =>
    sequences[Math.floor(at / count)]!.uniform!(),
  );
  const host: HostTensor = { dtype: 'float64', shape: [sequences.length, count], data };
  return model.backend.upload(host);
}

/** The options of the backends' `sample`. */
export function deviceFilter({ temperature, topK, topP, minP }: Sampling): SampleOptions {
  return { temperature, topK, topP, minP };
}
