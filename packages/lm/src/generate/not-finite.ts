import { transformersName } from '@mamba/checkpoint';
import { MambaError, type Model, type ModelState, modelParameters, type ParameterSpec, type Tensor } from '@mamba/core';

/** Whether the model's logits, before any bias that forbids tokens by -Infinity, are all finite. */
export function allFinite(logits: ArrayLike<number>): boolean {
  return firstBad(logits) < 0;
}

/** What gave results that are no numbers. */
export interface Failing {
  readonly model: Model;
  /** The ids that were fed last. */
  readonly ids: readonly number[];
  /** Of one row, before these ids or after them; it is left as it was. */
  readonly state: ModelState | undefined;
  /** In words: `the model`, `the draft`. */
  readonly who?: string;
}

/**
 * The error for results that are no numbers, with the layer and the weight in which that began. Looked for only now:
 * the ids are fed once more, layer by layer, and the weights of the place are read back.
 */
export async function notFinite({ model, ids, state, who = 'the model' }: Failing): Promise<MambaError> {
  const place = (await placeOf(model, ids, undefined)) ?? (await placeOf(model, ids, state));
  const found = place && (await firstBadWeight(model, place.suspects));
  const logits = `the logits of ${who} are no numbers`;
  if (found === undefined) {
    const begins = place === undefined ? '' : `: that begins in ${place.name}, whose weights are all finite`;
    return new MambaError('not-finite', logits + begins, {
      origin: place?.name,
      given: 'values that overflow',
      expected: `values that ${model.backend.precision} can hold`,
      remedy:
        "Load the model with weights: 'float32', or on a backend that computes in float64, such as reference: where that does not " +
        'help, its training has diverged.',
    });
  }
  const { parameter, value, at } = found;
  const name = transformersName(parameter, model.config);
  return new MambaError('not-finite', `${logits}: that begins in ${partOf(parameter)}, in the weight ${name}`, {
    origin: name,
    given: `${value} at [${at.join(', ')}]`,
    expected: 'finite numbers',
    remedy:
      'The checkpoint is damaged, or its training has diverged: take it from its source again, or an earlier one.',
  });
}

function partOf({ layer, key }: ParameterSpec): string {
  return layer === undefined ? `the ${key === 'finalNorm' ? 'final norm' : key}` : `layer ${layer}`;
}

/** Where values stop being numbers, and the parameters that may be to blame, likeliest first. */
interface Place {
  readonly name: string;
  readonly suspects: readonly ParameterSpec[];
}

async function placeOf(
  model: Model,
  ids: readonly number[],
  state: ModelState | undefined,
): Promise<Place | undefined> {
  const { blocks, tiedHead } = model.config;
  const layers = blocks.length;
  const { hiddenStates, logits, state: after } = model.forward([ids], { state, logits: 'last', hiddenStates: true });
  const tensors = [...hiddenStates!, logits!];
  try {
    let first = 0;
    while (first < tensors.length && (await holdsNumbers(model, tensors[first]!))) first++;
    if (first === tensors.length) return undefined;
    const parameters = modelParameters(model.config);
    const named = (...keys: readonly string[]) => parameters.filter(({ key }) => keys.includes(key));
    const ofLayer = (index: number) => parameters.filter(({ layer }) => layer === index);
    if (first === 0) return { name: 'the embedding', suspects: named('embedding') };
    if (first > layers) return { name: 'the head', suspects: named(tiedHead ? 'embedding' : 'head') };
    // What a state holds may have come from an earlier token: through the embedding, or out of the layer before.
    const earlier = state === undefined ? [] : [...named('embedding'), ...ofLayer(first - 2)];
    const last = first === layers;
    return {
      name: last ? `layer ${layers - 1} or the final norm` : `layer ${first - 1}`,
      suspects: [...ofLayer(first - 1), ...(last ? named('finalNorm') : []), ...earlier],
    };
  } finally {
    for (const tensor of tensors) tensor.dispose();
    after.dispose();
  }
}

async function holdsNumbers(model: Model, tensor: Tensor): Promise<boolean> {
  return firstBad(await model.backend.read(tensor)) < 0;
}

interface BadWeight {
  readonly parameter: ParameterSpec;
  readonly value: number;
  readonly at: readonly number[];
}

async function firstBadWeight(model: Model, suspects: readonly ParameterSpec[]): Promise<BadWeight | undefined> {
  for (const parameter of suspects) {
    const values = await model.readParameter(parameter.name);
    const index = firstBad(values);
    if (index < 0) continue;
    const columns = parameter.shape.at(-1)!;
    const at = parameter.shape.length === 1 ? [index] : [Math.floor(index / columns), index % columns];
    return { parameter, value: values[index]!, at };
  }
  return undefined;
}

function firstBad(values: ArrayLike<number>): number {
  for (let index = 0; index < values.length; index++) if (!Number.isFinite(values[index])) return index;
  return -1;
}
