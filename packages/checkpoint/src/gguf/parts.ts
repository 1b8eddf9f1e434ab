import { damaged, quote } from '../errors.ts';
import type { ByteSource } from '../io/byte-source.ts';
import { type GgufFile, openGguf } from './file.ts';
import { Metadata } from './metadata.ts';

/**
 * The names of all parts of the GGUF file that `name` is a part of (`x-00002-of-00003.gguf`); undefined for a whole
 * file.
 */
export function ggufParts(name: string): readonly string[] | undefined {
  const [, stem, index, count, ending] = /^(.*)-(\d{5})-of-(\d{5})(\.gguf)$/i.exec(name) ?? [];
  const total = Number(count);
  if (stem === undefined || !(Number(index) >= 1 && Number(index) <= total)) return undefined;
  return Array.from(
    { length: total },
    (_, part) => `${stem}-${String(part + 1).padStart(5, '0')}-of-${count}${ending}`,
  );
}

/**
 * Opens the parts of a GGUF file that llama-gguf-split made, in their order, as one file with the metadata of the first
 * part. The file owns the sources, as with `openGguf`.
 * @throws MambaError `invalid-file` where the parts do not belong together, and the errors of `openGguf`.
 */
export async function openGgufParts(sources: readonly ByteSource[]): Promise<GgufFile> {
  // If this is one part of several, reading its config fails later.
  if (sources.length === 1) return openGguf(sources[0]!);
  const parts: GgufFile[] = [];
  const close = async (): Promise<void> => {
    await Promise.all([...parts, ...sources.slice(parts.length)].map((part) => part.close()));
  };
  try {
    for (const source of sources) parts.push(await openGguf(source));
    return { ...joined(parts), close };
  } catch (error) {
    await close();
    throw error;
  }
}

function joined(parts: readonly GgufFile[]): Omit<GgufFile, 'close'> {
  const first = parts[0]!;
  const partOf = new Map<string, GgufFile>();
  for (const [index, part] of parts.entries()) {
    const facts = new Metadata(part.name, part.metadata);
    expectFact(facts, COUNT, parts.length);
    expectFact(facts, NUMBER, index);
    for (const tensor of part.tensors.keys()) {
      const other = partOf.get(tensor);
      if (other !== undefined)
        throw damaged(part.name, `the tensor ${quote(tensor)}, which is in ${other.name} as well`, 'each tensor once');
      partOf.set(tensor, part);
    }
  }
  expectFact(new Metadata(first.name, first.metadata), TENSORS, partOf.size);
  const part = (tensor: string): GgufFile => partOf.get(tensor) ?? first;
  return {
    name: first.name,
    version: first.version,
    alignment: first.alignment,
    // The metadata without the entries about the split.
    metadata: new Map([...first.metadata].filter(([key]) => !key.startsWith('split.'))),
    tensors: new Map(parts.flatMap(({ tensors }) => [...tensors])),
    // The first part reports a tensor that does not exist.
    read: async (tensor) => part(tensor).read(tensor),
    rows: (tensor) => part(tensor).rows(tensor),
    readRaw: async (tensor) => part(tensor).readRaw(tensor),
  };
}

const COUNT = 'split.count';
const NUMBER = 'split.no';
const TENSORS = 'split.tensors.count';

function expectFact(facts: Metadata, key: string, expected: number): void {
  const given = facts.integer(key, 0, 2 ** 31);
  if (given === expected) return;
  throw damaged(facts.origin(key), String(given), `${expected}, as the parts have it that are here`, REMEDY);
}

const REMEDY = 'Put all parts of one file together, by the names that they were made with.';
