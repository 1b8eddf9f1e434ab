/**
 * Reads golden files: inputs, results and gradients of many calls in one safetensors file. The fixtures' README
 * describes the format.
 */
import type { SafetensorsFile } from '@mamba/checkpoint';
import { MambaError } from '@mamba/core';

/** Opens a safetensors file. Each check opens it, reads the tensors that it needs, and closes it. */
export type OpenFile = () => Promise<SafetensorsFile>;

/** An entry of the file's `__metadata__.cases`. */
export interface GoldenCase {
  readonly name: string;
  /** The name of the operation in files. Default: `selective_scan`. */
  readonly op: string;
  /** The entry itself, with options of the operation and sizes of the tensors. */
  readonly entry: Readonly<Record<string, unknown>>;
  /** Whether the file has gradients of the case. */
  readonly gradients: boolean;
}

/**
 * Reads the cases of a file.
 * @throws MambaError `invalid-file` where the map of cases is damaged, or a tensor belongs to none of them.
 */
export async function readCases(open: OpenFile): Promise<readonly GoldenCase[]> {
  const file = await open();
  try {
    const listed = parseCases(file);
    const unlisted = [...file.tensors.keys()].find((name) => !listed.some((item) => name.startsWith(`${item.name}/`)));
    if (unlisted !== undefined)
      throw damaged(file.name, `the tensor ${unlisted}`, 'tensors of the cases that the metadata lists');
    return listed;
  } finally {
    await file.close();
  }
}

/** The names of a case's tensors with one prefix (`in.`, `out.`, `grad.`), without that prefix. */
export function tensorsOf(file: SafetensorsFile, name: string, kind: string): string[] {
  const prefix = `${name}/${kind}`;
  return [...file.tensors.keys()].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
}

export function damaged(origin: string, given: string, expected: string, cause?: unknown): MambaError {
  return new MambaError('invalid-file', `${origin} is not valid`, { origin, given, expected, cause });
}

function parseCases(file: SafetensorsFile): readonly GoldenCase[] {
  const text = file.metadata.get('cases');
  if (text === undefined) throw damaged(file.name, 'no __metadata__.cases', 'a JSON map of cases');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw damaged(`${file.name}: __metadata__.cases`, 'text that is not JSON', 'JSON', cause);
  }
  if (!isMap(json) || Object.keys(json).length === 0)
    throw damaged(`${file.name}: __metadata__.cases`, text.slice(0, 40), 'a map with at least one case');
  return Object.entries(json).map(([name, entry]) => {
    const origin = `${file.name}: case ${name}`;
    if (!isMap(entry)) throw damaged(origin, String(entry), 'a map of its options');
    const { op = 'selective_scan' } = entry;
    if (typeof op !== 'string') throw damaged(`${origin}: op`, String(op), 'the name of an operation');
    return { name, op, entry, gradients: tensorsOf(file, name, 'grad.').length > 0 };
  });
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
