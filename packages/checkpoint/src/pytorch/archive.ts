import { damaged, quote } from '../errors.ts';
import type { ByteSource } from '../io/byte-source.ts';
import { readPickle } from './pickle.ts';
import { OutOfBytes } from './pickle-cursor.ts';
import { type Storage, type StoredTensor, stateDict, tensorEnvironment } from './tensors.ts';
import { readZip } from './zip.ts';

/** The tensors of a file, and the offsets of their storages. */
export interface Layout {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** The offset of a storage in the file. */
  locate(storage: Storage): Promise<number>;
  /** Number of bytes of a storage in the file. */
  sizeOf(storage: Storage): number | undefined;
}

/** Largest size of a pickle in bytes. Tens of thousands of tensors take a few megabytes. */
export const MAX_PICKLE = 2 ** 26;

/**
 * Reads a file of PyTorch 1.6 or newer: a zip archive of a pickle, `data.pkl`, and the bytes of each storage, `data/0`
 * and so on.
 */
export async function readArchive(source: ByteSource): Promise<Layout> {
  const entries = await readZip(source);
  const roots = [...entries.keys()].filter((name) => /^([^/]+\/)?data\.pkl$/.test(name));
  if (roots.length !== 1)
    throw damaged(source.name, `a zip archive with ${roots.length} entries data.pkl`, 'one, as torch.save writes it');
  const root = roots[0]!.slice(0, -'data.pkl'.length);
  const read = async (name: string, limit: number): Promise<Uint8Array | undefined> => {
    const entry = entries.get(root + name);
    if (entry === undefined) return undefined;
    if (entry.size > limit) throw damaged(`${source.name}: ${quote(name)}`, `${entry.size} bytes`, `at most ${limit}`);
    return source.read(await entry.start(), entry.size);
  };
  const order = await read('byteorder', 16);
  if (order !== undefined && new TextDecoder().decode(order) !== 'little')
    throw damaged(`${source.name}: "byteorder"`, quote(new TextDecoder().decode(order)), 'little');
  const origin = `${source.name}: data.pkl`;
  const pickle = (await read('data.pkl', MAX_PICKLE))!;
  return {
    tensors: stateDict(origin, unpickled(origin, pickle)),
    locate: (storage) => entries.get(`${root}data/${storage.key}`)!.start(),
    sizeOf: (storage) => entries.get(`${root}data/${storage.key}`)?.size,
  };
}

function unpickled(origin: string, bytes: Uint8Array): unknown {
  try {
    return readPickle(origin, bytes, 0, tensorEnvironment(origin)).value;
  } catch (error) {
    if (!(error instanceof OutOfBytes)) throw error;
    throw damaged(origin, `a pickle that does not end within ${bytes.length} bytes`, 'a whole one');
  }
}
