import { damaged, quote } from '../errors.ts';
import type { ByteSource } from '../io/byte-source.ts';
import { type GgufFile, openGguf } from './file.ts';
import { Metadata } from './metadata.ts';

/**
 * The names of all parts of a GGUF file that `name` is one of (`x-00002-of-00003.gguf`); undefined where it is a whole
 * one.
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
 * The parts of one GGUF file (llama-gguf-split's), in their order, seen as one: metadata are the first part's. The
 * sources are the file's from then on, as `openGguf`'s is.
 * @throws MambaError `invalid-file` where they do not belong together, and what `openGguf` throws.
 */
export async function openGgufParts(sources: readonly ByteSource[]): Promise<GgufFile> {
  // Should it be a part all the same, its config is refused.
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
    // As a whole file has them.
    metadata: new Map([...first.metadata].filter(([key]) => !key.startsWith('split.'))),
    tensors: new Map(parts.flatMap(({ tensors }) => [...tensors])),
    // A tensor that does not exist is reported by the first.
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
