import { invalid, type Model, type ModelState, type Tensor } from '@mamba/core';
import { checkInteger, checkOptions, yieldToEventLoop } from '@mamba/core/toolkit';
import { checkIds } from '../check.ts';
import { checkSignal } from '../check-signal.ts';
import { notFinite } from '../generate/not-finite.ts';

/** Which hidden states are returned, and of which tokens. */
export interface HiddenStateOptions {
  /**
   * Indices of hidden states. A model of n layers has n + 1: 0 is the embedding, i the output of layer i, counted from
   * 1, and n follows the final norm. Negative indices count from the end. Default: the last one.
   */
  readonly layers?: readonly number[] | 'all' | undefined;
  /**
   * `last` gives the hidden state of the last token, which depends on all others; `mean` the mean over all tokens;
   * `none` one for every token. Default `last`.
   */
  readonly pooling?: 'last' | 'mean' | 'none' | undefined;
  /** The state before the ids; zero if absent. It is not changed. */
  readonly state?: ModelState | undefined;
  /** Tokens computed at once; bounds memory. Default 128. */
  readonly chunk?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Hidden states of a text on the host. */
export interface HiddenStates {
  /** Number of tokens of the text. */
  readonly tokens: number;
  /** Values of a hidden state. */
  readonly dModel: number;
  /** Non-negative indices, in the order of the option. */
  readonly layers: readonly number[];
  /** One array for each of `layers`: `[dModel]`, or `[tokens, dModel]` for pooling `none`. */
  readonly values: readonly (Float32Array | Float64Array)[];
}

/**
 * Embeddings of a sequence of at least one id; in constant memory unless pooling is `none`.
 * @throws MambaError `invalid-argument`, `aborted`, `not-finite` if the hidden states are not finite, and what the
 * backend throws. After an error nothing is left on the backend.
 */
export async function hiddenStates(
  model: Model,
  prompt: ArrayLike<number>,
  options: HiddenStateOptions = {},
): Promise<HiddenStates> {
  checkOptions('hiddenStates', options, ['layers', 'pooling', 'state', 'chunk', 'signal']);
  const { pooling = 'last', chunk = 128, signal } = options;
  const { dModel, vocabSize } = model.config;
  const layers = resolveLayers(options.layers ?? [-1], model.config.blocks.length);
  if (!['last', 'mean', 'none'].includes(pooling))
    throw invalid('hiddenStates.pooling', String(pooling), 'last, mean or none');
  checkInteger('hiddenStates.chunk', chunk, 1);
  const ids = checkIds('hiddenStates.ids', prompt, vocabSize);
  if (ids.length === 0) throw invalid('hiddenStates.ids', 'no tokens', 'at least one id');
  const make = (size: number) =>
    model.backend.precision === 'float64' ? new Float64Array(size) : new Float32Array(size);
  const values = layers.map(() => make(pooling === 'none' ? ids.length * dModel : dModel));
  const sums = layers.map(() => new Float64Array(pooling === 'mean' ? dModel : 0));
  let state: ModelState | undefined;
  try {
    for (let start = 0; start < ids.length; start += chunk) {
      checkSignal('hiddenStates', signal);
      const part = ids.slice(start, start + chunk);
      const result = model.forward([part], {
        ...{ state: state ?? options.state, donateState: state !== undefined },
        ...{ logits: 'none', hiddenStates: true, chunk },
      });
      state = result.state;
      const last = start + part.length === ids.length;
      const read = pooling === 'last' && !last ? [] : await readLayers(result.hiddenStates!, layers);
      if (read.length === 0) disposeAll(result.hiddenStates!);
      if (!read.every((rows) => rows.every(Number.isFinite))) throw await notFinite({ model, ids: part, state });
      for (const [index, rows] of read.entries()) {
        if (pooling === 'none') values[index]!.set(rows, start * dModel);
        else if (pooling === 'last') values[index]!.set(rows.subarray(rows.length - dModel));
        else for (let at = 0; at < rows.length; at++) sums[index]![at % dModel]! += rows[at]!;
      }
      await model.backend.synchronize();
      await yieldToEventLoop();
    }
  } finally {
    state?.dispose();
  }
  if (pooling === 'mean')
    for (const [index, sum] of sums.entries()) values[index]!.set(sum.map((value) => value / ids.length));
  return { tokens: ids.length, dModel, layers, values };

  async function readLayers(tensors: readonly Tensor[], wanted: readonly number[]) {
    try {
      return (await Promise.all(wanted.map((layer) => model.backend.read(tensors[layer]!)))) as Float32Array[];
    } finally {
      disposeAll(tensors);
    }
  }
}

function disposeAll(tensors: readonly Tensor[]): void {
  for (const tensor of tensors) tensor.dispose();
}

function resolveLayers(layers: readonly number[] | 'all', count: number): readonly number[] {
  if (layers === 'all') return Array.from({ length: count + 1 }, (_, layer) => layer);
  if (!Array.isArray(layers) || layers.length === 0)
    throw invalid('hiddenStates.layers', JSON.stringify(layers) ?? String(layers), "'all', or a list of layers");
  return layers.map((layer: number) => {
    checkInteger('hiddenStates.layers', layer, -count - 1, count);
    return layer < 0 ? layer + count + 1 : layer;
  });
}
