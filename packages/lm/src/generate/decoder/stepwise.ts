import type { Model, Tensor } from '@mamba/core';
import type { Sequence } from './sequence.ts';
import { type Advance, type BatchState, deviceFilter, lastIds, uploadUniforms } from './strategy.ts';

/**
 * Generates `count` tokens for each sequence by one forward pass and one choice on the device for each token, without
 * waiting in between. The sequences may have different filters, and may request log-probabilities of the chosen tokens.
 * The given state is never donated: it is needed again if a later step throws.
 */
export async function decodeStepwise(
  model: Model,
  sequences: readonly Sequence[],
  { state: initial }: BatchState,
  count: number,
): Promise<Advance> {
  const { backend } = model;
  const uniforms: (Tensor | undefined)[] = [];
  const made: Tensor[] = [];
  const wanted = sequences.some(({ logProbs }) => logProbs);
  let current = initial;
  try {
    for (const sequence of sequences) uniforms.push(uploadUniforms(model, [sequence], count));
    const ids: Tensor[] = [];
    const logProbs: Tensor[] = [];
    for (let index = 0; index < count; index++) {
      const { logits, state } = model.forward(ids[index - 1] ?? lastIds(sequences), {
        state: current,
        donateState: index > 0,
      });
      current = state;
      made.push(logits!);
      const chosen = chooseOnDevice(model, sequences, logits!, uniforms, index, made);
      ids.push(chosen);
      if (wanted) {
        const values = backend.logProb(logits!, chosen);
        made.push(values);
        logProbs.push(values);
      }
    }
    const [idTable, logProbTable] = await Promise.all([readColumns(backend, ids), readColumns(backend, logProbs)]);
    const tokens = sequences.map(({ logProbs: requested }, row) =>
      Array.from({ length: count }, (_, index) => ({
        id: idTable[index]![row]!,
        logProb: requested ? logProbTable[index]![row]! : undefined,
        topLogProbs: undefined,
      })),
    );
    const state = current!;
    current = initial;
    return { tokens, state };
  } finally {
    if (current !== initial) current?.dispose();
    for (const tensor of [...made, ...uniforms]) tensor?.dispose();
  }
}

/**
 * Chooses one id for each sequence.
 * @param logits `[sequences, vocabSize]`
 * @param uniforms `[1, count]` for each sequence that samples; column `index` is used.
 * @param made Receives every tensor that is made, for the caller to dispose, also if this throws.
 * @returns `[sequences]`
 */
function chooseOnDevice(
  { backend }: Model,
  sequences: readonly Sequence[],
  logits: Tensor,
  uniforms: readonly (Tensor | undefined)[],
  index: number,
  made: Tensor[],
): Tensor {
  const track = (tensor: Tensor): Tensor => {
    made.push(tensor);
    return tensor;
  };
  const many = sequences.length > 1;
  const ids = sequences.map(({ sampling }, row) => {
    const own = many ? track(backend.slice(logits, 0, row, row + 1)) : logits;
    const column = uniforms[row];
    if (column === undefined) return track(backend.argmax(own, { checked: true }));
    const uniform = track(backend.slice(column, 1, index, index + 1));
    return track(backend.sample(own, uniform, { ...deviceFilter(sampling), checked: true }));
  });
  return many ? track(backend.concat(ids, 0)) : ids[0]!;
}

function readColumns(backend: Model['backend'], columns: readonly Tensor[]): Promise<readonly ArrayLike<number>[]> {
  return Promise.all(columns.map((column) => backend.read(column)));
}
