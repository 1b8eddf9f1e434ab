import {
  type HostTensor,
  type ModelConfig,
  modelParameters,
  type ParameterSource,
  type ParameterSpec,
  type Shape,
  sizeOf,
} from '@mamba/core';
import { bfloat16ToNumber, float16ToNumber, sameShape } from '@mamba/core/driver';
import { damaged, list, quote } from './errors.ts';
import type { SafetensorsFile } from './safetensors/file.ts';
import { HEAD, tensorNames, transformersName } from './tensor-names.ts';

/**
 * A model's parameters out of a checkpoint, by transformers' names, the original ones, or either as they are found. All
 * of them are looked up now, so that a file which does not fit is refused before anything is loaded; values are read
 * when they are asked for, one tensor or some rows of a matrix, and A = -exp(A_log) is computed, and given, in float64.
 * @throws MambaError `invalid-file` where a tensor is missing, of a wrong shape or no floats, where one is left over,
 * or where a head contradicts the config.
 */
export async function parameterSource(config: ModelConfig, file: SafetensorsFile): Promise<ParameterSource> {
  const parameters = modelParameters(config);
  const tensorOf = parameterTensors(config, file);
  const names = new Map<string, string>();
  const missing: string[] = [];
  for (const parameter of parameters) {
    const name = tensorOf(parameter);
    if (name === undefined) missing.push(transformersName(parameter));
    else names.set(parameter.name, name);
  }
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

/** A parameter's shape in a file: PyTorch's depthwise convolution has an axis for the one input channel. */
export function storedShape({ key, shape }: ParameterSpec): Shape {
  return key === 'block.conv' ? [shape[0]!, 1, shape[1]!] : shape;
}

/** The tensor of each parameter, in the file's own words. A tied head may have been kept in the embedding's place. */
export function parameterTensors(
  config: ModelConfig,
  file: Pick<SafetensorsFile, 'name' | 'tensors'>,
): (parameter: Pick<ParameterSpec, 'key' | 'layer'>) => string | undefined {
  const names = tensorNames(file);
  return (parameter) => {
    const name = names.get(transformersName(parameter));
    return name ?? (parameter.key === 'embedding' && config.tiedHead ? names.get(HEAD) : undefined);
  };
}

function remedyForMissing({ tiedHead }: ModelConfig, missing: readonly string[]): string | undefined {
  return !tiedHead && missing.length === 1 && missing[0] === HEAD
    ? 'The config says that the head is not tied to the embedding: say "tie_word_embeddings": true if it is.'
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
  const head = tensorNames(file).get(HEAD);
  if (head !== undefined && surplus.length === 1 && surplus[0] === head && config.tiedHead) {
    if (await sameBytes(file, head, names.get('embedding')!)) return;
    throw damaged(
      `${file.name}: tensor ${quote(head)}`,
      'a head that is not the embedding',
      'the embedding, or no such tensor, since the config says that they are tied',
      'Say "tie_word_embeddings": false in config.json if the head is a separate one.',
    );
  }
  if (surplus.length > 0)
    throw damaged(file.name, `tensors that the config has no place for: ${list(surplus)}`, 'none left over');
}

async function sameBytes(file: SafetensorsFile, a: string, b: string): Promise<boolean> {
  if (file.isAlias?.(a, b)) return true;
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
