import {
  type HostTensor,
  type ModelConfig,
  modelParameters,
  type ParameterKey,
  type ParameterSource,
  type ParameterSpec,
  type Shape,
  sizeOf,
} from '@mamba/core';
import { bfloat16ToNumber, float16ToNumber, sameShape } from '@mamba/core/driver';
import { damaged, list, quote } from './errors.ts';
import type { SafetensorsFile } from './safetensors/file.ts';

/**
 * A model's parameters out of a checkpoint, by transformers' names or the original ones. All of them are looked up now, so that a
 * file which does not fit is refused before anything is loaded; values are read when they are asked for, one tensor or
 * some rows of a matrix, and A = -exp(A_log) is computed, and given, in float64.
 * @throws MambaError `invalid-file` where a tensor is missing, of a wrong shape or no floats, where one is left over, or where a
 * head contradicts the config.
 */
export async function parameterSource(config: ModelConfig, file: SafetensorsFile): Promise<ParameterSource> {
  const parameters = modelParameters(config);
  const names = new Map(parameters.map((parameter) => [parameter.name, tensorName(file, parameter)]));
  const missing = [...names.values()].filter((name) => !file.tensors.has(name));
  if (missing.length > 0)
    throw damaged(
      file.name,
      `no tensor ${list(missing)}`,
      'every tensor of the config',
      remedyForMissing(config, missing),
    );
  for (const parameter of parameters) checkTensor(file, names.get(parameter.name)!, parameter);
  await checkSurplus(config, file, names);

  const nameOf = ({ name }: ParameterSpec): string => {
    const found = names.get(name);
    if (found === undefined) throw damaged(file.name, `no parameter ${name}`, 'a parameter of the config');
    return found;
  };
  const read = async (parameter: ParameterSpec): Promise<HostTensor> => {
    const host = await file.read(nameOf(parameter));
    if (parameter.key === 'block.A') return negativeExp(host, parameter);
    return { ...host, shape: parameter.shape } as HostTensor;
  };
  return Object.assign(read, {
    rows: (parameter: ParameterSpec) => (parameter.role === 'matrix' ? file.rows(nameOf(parameter)) : undefined),
  });
}

/** A parameter's tensor, as transformers calls it. */
export function transformersName({ key, layer }: Pick<ParameterSpec, 'key' | 'layer'>): string {
  switch (key) {
    case 'embedding':
      return 'backbone.embeddings.weight';
    case 'finalNorm':
      return 'backbone.norm_f.weight';
    case 'head':
      return HEAD;
    default:
      return `backbone.layers.${layer}.${LAYER_TENSORS[key]}`;
  }
}

/** A parameter's shape in a file: PyTorch's depthwise convolution has an axis for the one input channel. */
export function storedShape({ key, shape }: ParameterSpec): Shape {
  return key === 'block.conv' ? [shape[0]!, 1, shape[1]!] : shape;
}

const HEAD = 'lm_head.weight';

const LAYER_TENSORS: Readonly<Record<Exclude<ParameterKey, 'embedding' | 'finalNorm' | 'head'>, string>> = {
  norm: 'norm.weight',
  'block.inProj': 'mixer.in_proj.weight',
  'block.inProjBias': 'mixer.in_proj.bias',
  'block.conv': 'mixer.conv1d.weight',
  'block.convBias': 'mixer.conv1d.bias',
  'block.xProj': 'mixer.x_proj.weight',
  'block.dtProj': 'mixer.dt_proj.weight',
  'block.dtBias': 'mixer.dt_proj.bias',
  'block.A': 'mixer.A_log',
  'block.D': 'mixer.D',
  'block.outProj': 'mixer.out_proj.weight',
  'block.outProjBias': 'mixer.out_proj.bias',
};

/** A parameter's tensor in a file; the original's embedding has a name of its own. */
export function tensorName(
  file: Pick<SafetensorsFile, 'tensors'>,
  parameter: Pick<ParameterSpec, 'key' | 'layer'>,
): string {
  const original = 'backbone.embedding.weight';
  return parameter.key === 'embedding' && file.tensors.has(original) ? original : transformersName(parameter);
}

function remedyForMissing({ tiedHead }: ModelConfig, missing: readonly string[]): string | undefined {
  return !tiedHead && missing.includes(HEAD)
    ? 'The config says that the head is not tied to the embedding.'
    : undefined;
}

function checkTensor(file: SafetensorsFile, name: string, parameter: ParameterSpec): void {
  const origin = `${file.name}: tensor ${quote(name)}`;
  const info = file.tensors.get(name)!;
  const expected = storedShape(parameter);
  if (!sameShape(info.shape, expected))
    throw damaged(origin, `[${info.shape.join(', ')}]`, `[${expected.join(', ')}], as the config says`);
  if (!['F64', 'F32', 'F16', 'BF16'].includes(info.dtype))
    throw damaged(origin, info.dtype, 'F64, F32, F16 or BF16 for a parameter');
}

/** A tied model may carry its head as a copy of the embedding, bit for bit; nothing else may be left over. */
async function checkSurplus(
  config: ModelConfig,
  file: SafetensorsFile,
  names: ReadonlyMap<string, string>,
): Promise<void> {
  const used = new Set(names.values());
  const surplus = [...file.tensors.keys()].filter((name) => !used.has(name));
  if (surplus.length === 1 && surplus[0] === HEAD && config.tiedHead) {
    if (await sameBytes(file, HEAD, names.get('embedding')!)) return;
    throw damaged(
      `${file.name}: tensor ${quote(HEAD)}`,
      'a head that is not the embedding',
      'the embedding, or no such tensor, since the config says that they are tied',
      'Say "tie_word_embeddings": false in config.json if the head is a separate one.',
    );
  }
  if (surplus.length > 0)
    throw damaged(file.name, `tensors that the config has no place for: ${list(surplus)}`, 'none left over');
}

async function sameBytes(file: SafetensorsFile, a: string, b: string): Promise<boolean> {
  const first = file.tensors.get(a)!;
  const second = file.tensors.get(b)!;
  const size = first.end - first.begin;
  if (first.dtype !== second.dtype || size !== second.end - second.begin) return false;
  if (!sameShape(first.shape, second.shape)) return false;
  const step = 2 ** 20;
  for (let start = 0; start < size; start += step) {
    const end = Math.min(start + step, size);
    const [left, right] = await Promise.all([file.readBytes(a, start, end), file.readBytes(b, start, end)]);
    if (left.some((byte, index) => byte !== right[index])) return false;
  }
  return true;
}

function negativeExp(host: HostTensor, { shape }: ParameterSpec): HostTensor {
  const data = new Float64Array(sizeOf(shape));
  const widen =
    host.dtype === 'float16'
      ? float16ToNumber
      : host.dtype === 'bfloat16'
        ? bfloat16ToNumber
        : (value: number) => value;
  for (let index = 0; index < data.length; index++) data[index] = -Math.exp(widen(host.data[index]!));
  return { dtype: 'float64', shape, data };
}
