import {
  type HostTensor,
  MambaError,
  type ModelConfig,
  modelConfig,
  modelParameters,
  type ParameterSource,
  type ParameterSpec,
} from '@mamba/core';
import { sameShape } from '@mamba/core/driver';
import { parseSpecialTokens, type SpecialTokens } from '../config/special-tokens.ts';
import { damaged, list, quote, show } from '../errors.ts';
import { type WarningListener, warnOnConsole } from '../warnings.ts';
import { checkReadable, type GgufFile } from './file.ts';
import { type GgufValue, Metadata } from './metadata.ts';
import { ARCHITECTURE, ggufTensorName, KEYS } from './names.ts';

const MAX_SIZE = 2 ** 24;

/**
 * The model that a GGUF file describes: architecture `mamba`, which Falcon-Mamba is as well (`ssm.dt_b_c_rms`). The vocabulary is the
 * embedding's; a head of its own and the biases are there where their tensors are.
 * @throws MambaError `invalid-file` naming the key that is missing, absurd or contradicts another; `unsupported` for another
 * architecture or one part of a split file.
 */
export function ggufConfig(file: GgufFile): ModelConfig {
  const metadata = new Metadata(file.name, file.metadata);
  const architecture = metadata.string(KEYS.architecture);
  if (architecture !== ARCHITECTURE)
    throw unsupported(metadata.origin(KEYS.architecture), show(architecture), `"${ARCHITECTURE}"`);
  const parts = metadata.integer('split.count', 0, 2 ** 16, 0);
  if (parts > 1)
    throw unsupported(metadata.origin('split.count'), `one of ${parts} parts`, 'a whole file', SPLIT_REMEDY);
  const embedding = ggufTensorName({ key: 'embedding', layer: undefined });
  const vocabSize = file.tensors.get(embedding)?.shape[0];
  if (vocabSize === undefined) throw damaged(file.name, `no tensor ${quote(embedding)}`, 'an embedding');
  if (metadata.integer(KEYS.vocabSize, 1, MAX_SIZE, vocabSize) !== vocabSize)
    throw damaged(metadata.origin(KEYS.vocabSize), show(file.metadata.get(KEYS.vocabSize)), `${vocabSize}, its rows`);
  const normEps = shortest(metadata.number(KEYS.normEps, 0, 1));
  const mixerNorm = metadata.boolean(KEYS.mixerNorm, false);
  const mixerNormEps = file.metadata.has(KEYS.mixerNormEps)
    ? shortest(metadata.number(KEYS.mixerNormEps, 0, 1))
    : normEps;
  const has = (key: 'head' | 'block.inProjBias' | 'block.convBias'): boolean =>
    file.tensors.has(ggufTensorName({ key, layer: key === 'head' ? undefined : 0 }));
  const layers = metadata.integer(KEYS.layers, 1, 2 ** 16);
  const dModel = metadata.integer(KEYS.dModel, 1, MAX_SIZE);
  return modelConfig(
    { layers, dModel, vocabSize },
    {
      dInner: metadata.integer(KEYS.dInner, 1, MAX_SIZE),
      dState: metadata.integer(KEYS.dState, 1, MAX_SIZE),
      dConv: metadata.integer(KEYS.dConv, 2, 2 ** 16),
      dtRank: metadata.integer(KEYS.dtRank, 1, MAX_SIZE),
      ...(mixerNorm && { mixerNormEps }),
      normEps,
      tiedHead: !has('head'),
      projectionBias: has('block.inProjBias'),
      convBias: has('block.convBias'),
    },
  );
}

/**
 * Ids with a meaning, as the tokenizer's metadata give them: text ends where it does (eos), where a turn does (eot) and
 * where a message does that awaits an answer (eom). Those that are none of the vocabulary are left out, with a warning.
 */
export function ggufSpecialTokens(
  file: GgufFile,
  { vocabSize }: ModelConfig,
  onWarning: WarningListener = warnOnConsole,
): SpecialTokens {
  const id = (name: string): GgufValue | undefined => file.metadata.get(`tokenizer.ggml.${name}_token_id`);
  const json = { bos_token_id: id('bos'), eos_token_id: [id('eos'), id('eot'), id('eom')].filter(isGiven) };
  return parseSpecialTokens(vocabSize, [{ origin: file.name, json }], onWarning);
}

function isGiven<T>(value: T | undefined): value is T {
  return value !== undefined;
}

/**
 * A model's parameters out of a GGUF file, looked up and checked now, read when they are asked for. A is stored as -exp(A_log).
 * @throws MambaError `invalid-file` where a tensor is missing, left over or of a wrong shape, `unsupported` where one is of a type
 * that cannot be read.
 */
export function ggufParameterSource(config: ModelConfig, file: GgufFile): ParameterSource {
  const parameters = modelParameters(config);
  const names = new Map(parameters.map((parameter) => [parameter.name, ggufTensorName(parameter)]));
  const missing = [...names.values()].filter((name) => !file.tensors.has(name));
  if (missing.length > 0) throw damaged(file.name, `no tensor ${list(missing)}`, 'every tensor of the config');
  for (const { name, shape } of parameters) {
    const info = file.tensors.get(names.get(name)!)!;
    const origin = `${file.name}: tensor ${quote(names.get(name)!)}`;
    if (!sameShape(info.shape, shape))
      throw damaged(origin, `[${info.shape.join(', ')}]`, `[${shape.join(', ')}], as the metadata say`);
    checkReadable(origin, info.dtype);
  }
  const used = new Set(names.values());
  const surplus = [...file.tensors.keys()].filter((name) => !used.has(name));
  if (surplus.length > 0)
    throw damaged(file.name, `tensors that the config has no place for: ${list(surplus)}`, 'none left over');

  const nameOf = ({ name }: ParameterSpec): string => {
    const found = names.get(name);
    if (found === undefined) throw damaged(file.name, `no parameter ${name}`, 'a parameter of the config');
    return found;
  };
  const read = async (parameter: ParameterSpec): Promise<HostTensor> => {
    const name = nameOf(parameter);
    const host = await file.read(name);
    if (parameter.key === 'block.A') checkNegative(`${file.name}: tensor ${quote(name)}`, host);
    return host;
  };
  return Object.assign(read, {
    rows: (parameter: ParameterSpec) => (parameter.role === 'matrix' ? file.rows(nameOf(parameter)) : undefined),
  });
}

const SPLIT_REMEDY = 'Put all parts together, by the names that they were made with: x-00001-of-00003.gguf.';

/** A positive A is an A_log that was stored as it is: the model would run, and diverge. */
function checkNegative(origin: string, { data, dtype }: HostTensor): void {
  const sign = dtype === 'float16' || dtype === 'bfloat16' ? (bits: number) => (bits & 0x8000 ? -1 : bits) : Math.sign;
  for (let index = 0; index < data.length; index++) {
    if (!(sign(data[index]!) <= 0))
      throw damaged(origin, `a value above 0 at ${index}`, 'A = -exp(A_log), which is below 0 everywhere');
  }
}

/** The decimal that a float32 was written from: 1e-5 rather than 9.999999747378752e-6. */
function shortest(value: number): number {
  const decimal = Number(value.toPrecision(7));
  return Math.fround(decimal) === value ? decimal : value;
}

function unsupported(origin: string, given: string, expected: string, remedy?: string): MambaError {
  return new MambaError('unsupported', `${origin} is not supported`, { origin, given, expected, remedy });
}
