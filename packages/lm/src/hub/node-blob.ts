import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { diskFailure, ifPresent, replaceText } from './node-disk.ts';

/** The hash of a file as it lies on the disk, of the kind that `like` is. Undefined where there is none. */
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
 * Whether a blob is what its hash says. Read when it is first met, and again when its size or times have changed since;
 * `note` keeps what they were.
 * @throws MambaError `io`, `aborted`.
 */
export async function isSound(blob: string, hash: string, note: string, signal?: AbortSignal): Promise<boolean> {
  const before = await looks(blob);
  if (before === undefined) return false;
  if ((await readFile(note, 'utf8').catch(() => undefined)) === before) return true;
  if ((await hashFile(blob, hash, signal)) !== hash) return false;
  // Not kept where the cache cannot be written: it is read again then.
  if ((await looks(blob)) === before) await replaceText(note, before, note).catch(() => {});
  return true;
}

async function looks(blob: string): Promise<string | undefined> {
  const there = await ifPresent(stat(blob));
  return there && `${there.size} ${there.mtimeMs} ${there.ctimeMs}`;
}
