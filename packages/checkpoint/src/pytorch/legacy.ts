import { damaged, quote } from '../errors.ts';
import type { ByteSource } from '../io/byte-source.ts';
import { bitsOf } from '../safetensors/dtypes.ts';
import { type Layout, MAX_PICKLE } from './archive.ts';
import { kindOf, readPickle } from './pickle.ts';
import { OutOfBytes } from './pickle-cursor.ts';
import { type Storage, stateDict, tensorEnvironment } from './tensors.ts';

/** The pickle of the magic number of such files, with which they begin. */
export const LEGACY_START = Uint8Array.of(
  ...[0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e],
);

/**
 * Reads a file of a PyTorch before 1.6: pickles one after the other (the magic number, a version, facts of the machine,
 * the tensors, the keys of the storages), then, for each storage in the order of the keys, its number of elements in 8
 * bytes and the elements.
 */
export async function readLegacy(source: ByteSource): Promise<Layout> {
  const { values, end } = await readPickles(source, 5);
  const [, version, machine, root, keys] = values;
  if (version !== 1001) throw damaged(source.name, `version ${kindOf(version)}`, '1001');
  if (!(machine instanceof Map) || machine.get('little_endian') !== true)
    throw damaged(source.name, 'numbers of another byte order', 'little-endian');
  const tensors = stateDict(source.name, root);
  const storages = new Map([...tensors.values()].map(({ storage }) => [storage.key, storage]));
  const starts = await locateStorages(source, end, keys, storages);
  return {
    tensors,
    locate: async (storage) => starts.get(storage.key)!,
    sizeOf: (storage) => (starts.has(storage.key) ? storage.size * widthOf(storage) : undefined),
  };
}

/** Reads pickles. Their lengths are not known before, so more of the file is read while they continue. */
async function readPickles(
  source: ByteSource,
  count: number,
): Promise<{ readonly values: readonly unknown[]; readonly end: number }> {
  for (let limit = 2 ** 18; ; limit *= 8) {
    const length = Math.min(limit, source.size, MAX_PICKLE);
    const bytes = await source.read(0, length);
    try {
      const values: unknown[] = [];
      let end = 0;
      while (values.length < count) {
        const read = readPickle(source.name, bytes, end, tensorEnvironment(source.name));
        values.push(read.value);
        end = read.end;
      }
      return { values, end };
    } catch (error) {
      if (!(error instanceof OutOfBytes)) throw error;
      if (length < source.size && length < MAX_PICKLE) continue;
      throw damaged(source.name, `pickles that do not end within ${length} bytes`, 'whole ones');
    }
  }
}

async function locateStorages(
  source: ByteSource,
  first: number,
  keys: unknown,
  storages: ReadonlyMap<string, Storage>,
): Promise<ReadonlyMap<string, number>> {
  if (!Array.isArray(keys)) throw damaged(source.name, kindOf(keys), 'a list of the storages');
  const starts = new Map<string, number>();
  let at = first;
  for (const key of keys as unknown[]) {
    const storage = typeof key === 'string' ? storages.get(key) : undefined;
    // The dtype of a storage that no tensor of the state dict uses is not known.
    if (storage === undefined)
      throw damaged(source.name, `the storage ${kindOf(key)}`, 'storages of the state dict alone', SAVE_AGAIN);
    if (at + 8 > source.size) throw cutOff(source, storage);
    const bytes = await source.read(at, 8);
    const size = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    if (size !== storage.size)
      throw damaged(`${source.name}: storage ${quote(storage.key)}`, `${size} elements`, String(storage.size));
    starts.set(storage.key, at + 8);
    at += 8 + size * widthOf(storage);
    if (at > source.size) throw cutOff(source, storage);
  }
  return starts;
}

const SAVE_AGAIN = 'Save its state_dict() alone, with a current PyTorch.';

function cutOff(source: ByteSource, { key }: Storage): Error {
  const given = `a file that ends at ${source.size}, within it`;
  return damaged(`${source.name}: storage ${quote(key)}`, given, 'all of its bytes', 'It is cut off; fetch it again.');
}

function widthOf({ dtype }: Storage): number {
  return bitsOf(dtype!)! / 8;
}
