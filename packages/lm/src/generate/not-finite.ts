import { transformersName } from '@mamba/checkpoint';
import { MambaError, type Model, type ModelState, modelParameters, type ParameterSpec } from '@mamba/core';

/** Whether the model's logits, before any bias that forbids tokens by -Infinity, are all finite. */
export function allFinite(logits: ArrayLike<number>): boolean {
  return firstBad(logits) < 0;
}

/** A forward pass whose results are not finite. */
export interface FailedPass {
  readonly model: Model;
  /** The ids that were fed. */
  readonly ids: readonly number[];
  /** A state of one row, before or after these ids; zero if undefined. It is not changed. */
  readonly state: ModelState | undefined;
  /** The model's name in the message: `the model`, `the draft`. */
  readonly who?: string;
}

/**
 * Makes the error for results that are not finite, with the layer and the weight in which that began. To find them it
 * feeds the ids again, looks at the output of each layer, and reads back the weights of the first layer that fails.
 */
export async function notFinite({ model, ids, state, who = 'the model' }: FailedPass): Promise<MambaError> {
  const fault = (await locateFault(model, ids, undefined)) ?? (await locateFault(model, ids, state));
  const found = fault && (await firstBadWeight(model, fault.suspects));
  const logits = `the logits of ${who} are no numbers`;
  if (found === undefined) {
    const begins = fault === undefined ? '' : `: that begins in ${fault.name}, whose weights are all finite`;
    return new MambaError('not-finite', logits + begins, {
      origin: fault?.name,
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

/** The first part of a model whose output is not finite. */
interface Fault {
  readonly name: string;
  /** The parameters that may be the cause, likeliest first. */
  readonly suspects: readonly ParameterSpec[];
}

async function locateFault(
  model: Model,
  ids: readonly number[],
  state: ModelState | undefined,
): Promise<Fault | undefined> {
  const { blocks, tiedHead } = model.config;
  const layers = blocks.length;
  const { hiddenStates, logits, state: after } = model.forward([ids], { state, logits: 'last', hiddenStates: true });
  const tensors = [...hiddenStates!, logits!];
  try {
    let first = 0;
    while (first < tensors.length && allFinite(await model.backend.read(tensors[first]!))) first++;
    if (first === tensors.length) return undefined;
    const parameters = modelParameters(model.config);
    const named = (...keys: readonly string[]) => parameters.filter(({ key }) => keys.includes(key));
    const ofLayer = (index: number) => parameters.filter(({ layer }) => layer === index);
    if (first === 0) return { name: 'the embedding', suspects: named('embedding') };
    if (first > layers) return { name: 'the head', suspects: named(tiedHead ? 'embedding' : 'head') };
    // The state may hold values of an earlier token: from its embedding, or from the output of the layer before.
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

interface BadWeight {
  readonly parameter: ParameterSpec;
  readonly value: number;
  /** Its index in the parameter. */
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
