import type { ModelConfig, ModelConfigLike, ParameterSource } from '@mamba/core';
import { sameShape } from '@mamba/core/toolkit';
import { damaged, quote } from './errors.ts';
import type { FolderFormat } from './families/family.ts';
import { familyNamed, folderFamily, listed } from './families/list.ts';
import type { SafetensorsFile } from './safetensors/file.ts';
import { type LocatedParameters, locateParameters, surplusError } from './stored/locate.ts';
import { landmarkNames, tensorNames } from './tensor-names.ts';

/**
 * The source of a model's parameters in a checkpoint, by the tensor names of its family, with any prefix or wrapper.
 * All tensors are located in this call, so that a file that does not fit is refused before anything is loaded. Values
 * are read on demand, one tensor or some rows of a matrix at a time. Values that are stored in another form (A_log) are
 * converted in float64, and returned as float64.
 * @param family The name of the family, as `parseModel` gives it. Default: the first that can express the model.
 * @throws MambaError `invalid-file` where a tensor is missing, unknown, of a wrong shape or no floats, or where a head
 * contradicts the config; `unsupported` where no family can express the model.
 */
export async function parameterSource(
  given: ModelConfigLike,
  file: SafetensorsFile,
  family?: string | undefined,
): Promise<ParameterSource> {
  const config = listed(given);
  const format =
    family === undefined
      ? folderFamily('parameterSource', config).format
      : familyNamed('parameterSource.family', family).folder;
  return (await folderParameters(config, file, format)).source;
}

/** As `parameterSource`, with the names of each parameter's tensors. */
export async function folderParameters(
  config: ModelConfig,
  file: SafetensorsFile,
  format: FolderFormat,
): Promise<LocatedParameters> {
  const landmarks = landmarkNames(format, config);
  const names = tensorNames(file, format, landmarks);
  const located = locateParameters(config, file, format.tensors(config), {
    nameOf: (tensor, { key }) =>
      names.get(tensor) ?? (key === 'embedding' ? headOf(config, names, landmarks.head) : undefined),
    shapesFrom: 'the config says',
    checkType,
    remedy: (missing) =>
      !config.tiedHead && missing.length === 1 && missing[0] === landmarks.head
        ? `The config says that the head is not tied to the embedding: say "${format.tiedField}": true if it is.`
        : undefined,
  });
  await checkSurplus(config, file, located, names.get(landmarks.head), format);
  return located;
}

/** The number of rows of the embedding, under any of its names; undefined where there is no embedding. */
export function embeddingRows(
  config: ModelConfig,
  file: Pick<SafetensorsFile, 'name' | 'tensors'>,
  format: FolderFormat,
): number | undefined {
  const landmarks = landmarkNames(format, config);
  const names = tensorNames(file, format, landmarks);
  const name = names.get(landmarks.embedding) ?? headOf(config, names, landmarks.head);
  return name === undefined ? undefined : file.tensors.get(name)?.shape[0];
}

/** The name of the head's tensor. Where the head is tied, a file may hold it in place of the embedding. */
function headOf(config: ModelConfig, names: ReadonlyMap<string, string>, head: string): string | undefined {
  return config.tiedHead ? names.get(head) : undefined;
}

function checkType(origin: string, dtype: string): void {
  if (!['F64', 'F32', 'F16', 'BF16'].includes(dtype))
    throw damaged(origin, dtype, 'F64, F32, F16 or BF16 for a parameter');
}

/**
 * Checks that no tensor is left over. A tied model may have its head as well, as a copy of the embedding bit for bit.
 */
async function checkSurplus(
  config: ModelConfig,
  file: SafetensorsFile,
  { used, tensorsOf }: LocatedParameters,
  head: string | undefined,
  { tiedField, buffers }: Pick<FolderFormat, 'tiedField' | 'buffers'>,
): Promise<void> {
  const surplus = [...file.tensors.keys()].filter((name) => !used.has(name) && !buffers?.test(name));
  const [embedding] = tensorsOf({ key: 'embedding', layer: undefined });
  if (head !== undefined && surplus.length === 1 && surplus[0] === head && config.tiedHead) {
    if (await sameBytes(file, head, embedding!)) return;
    throw damaged(
      `${file.name}: tensor ${quote(head)}`,
      'a head that is not the embedding',
      'the embedding, or no such tensor, since the config says that they are tied',
      `Say "${tiedField}": false in config.json if the head is a separate one.`,
    );
  }
  if (surplus.length > 0) throw surplusError(file, surplus);
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
