import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { diskFailure, ifPresent, replaceText } from './node-disk.ts';

/** The hash of a file on disk, of the same kind as `like`; undefined if there is no such file. */
export async function hashFile(path: string, like: string, signal?: AbortSignal): Promise<string | undefined> {
  const there = await ifPresent(stat(path));
  if (there === undefined) return undefined;
  const hash = like.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${there.size}\0`);
  try {
    const options = { highWaterMark: 2 ** 20, ...(signal && { signal }) };
    for await (const piece of createReadStream(path, options)) hash.update(piece as Buffer);
  } catch (error) {
    throw diskFailure(path, error);
  }
  return hash.digest('hex');
}

/**
 * Whether a blob has its hash. The file is hashed the first time, and again if its size or times have changed since.
 * @param note The path of a file that stores the size and times of the last check.
 * @throws MambaError `io`, `aborted`
 */
export async function isSound(blob: string, hash: string, note: string, signal?: AbortSignal): Promise<boolean> {
  const before = await statText(blob);
  if (before === undefined) return false;
  if ((await readFile(note, 'utf8').catch(() => undefined)) === before) return true;
  if ((await hashFile(blob, hash, signal)) !== hash) return false;
  // In a cache that cannot be written the blob is hashed again the next time.
  if ((await statText(blob)) === before) await replaceText(note, before, note).catch(() => {});
  return true;
}

async function statText(blob: string): Promise<string | undefined> {
  const there = await ifPresent(stat(blob));
  return there && `${there.size} ${there.mtimeMs} ${there.ctimeMs}`;
}
