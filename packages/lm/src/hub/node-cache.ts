import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { type ByteSource, openFile } from '@mamba/checkpoint';
import { isMambaError, MambaError } from '@mamba/core';
import type { Download, HubCache, HubFile } from './cache.ts';

/**
 * The folder that Hugging Face's own tools keep a repository in, for them and for us: `blobs` by hash, `snapshots/<commit>` with links
 * to them, `refs/<revision>` with a commit, `.no_exist/<commit>` with empty files for what there is not. A download is
 * `blobs/<hash>.incomplete` until it is whole and checked.
 */
export function openCache(folder: string): HubCache {
  const snapshot = (commit: string, file = ''): string => join(folder, 'snapshots', commit, file);
  const absent = (commit: string, file: string): string => join(folder, '.no_exist', commit, file);
  return {
    async commitOf(revision) {
      const text = await ifPresent(readFile(join(folder, 'refs', revision), 'utf8'));
      return text?.trim();
    },
    setCommit: (revision, commit) => replaceFile(join(folder, 'refs', revision), commit),
    list: async (commit) => (await ifPresent(readdir(snapshot(commit)))) ?? [],
    open: (commit, file) => openIfPresent(snapshot(commit, file)),
    isAbsent: async (commit, file) => (await ifPresent(stat(absent(commit, file)))) !== undefined,
    setAbsent: (commit, file) => replaceFile(absent(commit, file), ''),
    download: (commit, file) => openDownload(join(folder, 'blobs', file.hash), snapshot(commit, file.name), file),
  };
}

async function openDownload(blob: string, link: string, file: HubFile): Promise<Download> {
  const incomplete = `${blob}.incomplete`;
  if ((await ifPresent(stat(blob))) !== undefined) {
    const place = (): Promise<void> => attempt(link, () => placeLink(blob, link));
    return { received: file.size, write: nothing, restart: nothing, finish: place, leave: nothing };
  }
  await attempt(incomplete, () => mkdir(dirname(incomplete), { recursive: true }));
  // Written at explicit places: two processes with the same download write the same bytes to the same places.
  const handle = await attempt(incomplete, () =>
    open(incomplete, 'a').then(async (made) => {
      await made.close();
      return open(incomplete, 'r+');
    }),
  );
  let received = 0;
  let hash = contentHash(file);
  const restart = async (): Promise<void> => {
    await attempt(incomplete, () => handle.truncate(0));
    received = 0;
    hash = contentHash(file);
  };
  const leave = (): Promise<void> => handle.close().catch(() => {});
  try {
    const { size } = await handle.stat();
    if (size > file.size) await restart();
    else if (size > 0) {
      for await (const piece of createReadStream(incomplete, { end: size - 1 })) hash.update(piece as Buffer);
      received = size;
    }
  } catch (error) {
    await leave();
    throw failure(incomplete, error);
  }
  return {
    get received() {
      return received;
    },
    async write(bytes) {
      await attempt(incomplete, async () => {
        let done = 0;
        while (done < bytes.length) {
          const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, received);
          hash.update(bytes.subarray(done, done + bytesWritten));
          done += bytesWritten;
          received += bytesWritten;
        }
      });
    },
    restart,
    async finish() {
      await attempt(incomplete, () => handle.sync());
      await handle.close();
      const digest = hash.digest('hex');
      if (received !== file.size || digest !== file.hash) {
        await rm(incomplete, { force: true });
        throw new MambaError('invalid-file', `${file.name} came damaged`, {
          origin: file.name,
          given: `${received} bytes with the hash ${digest}`,
          expected: `${file.size} with ${file.hash}`,
          remedy: 'Try again; it was not kept.',
        });
      }
      await attempt(blob, async () => {
        await rename(incomplete, blob).catch(async (error: unknown) => {
          // Another process was first.
          if ((await ifPresent(stat(blob))) === undefined) throw error;
        });
        await placeLink(blob, link);
      });
    },
    leave,
  };
}

async function nothing(): Promise<void> {}

function contentHash({ hash, size }: HubFile): Hash {
  return hash.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
}

/** Replaces what is there, so that a link whose blob was deleted is mended. */
async function placeLink(blob: string, link: string): Promise<void> {
  await mkdir(dirname(link), { recursive: true });
  await unlink(link).catch(() => {});
  try {
    await symlink(relative(dirname(link), blob), link);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return;
    // Where links are not allowed, as on Windows. Under another name first, so that no part is ever seen.
    await copyFile(blob, `${link}.incomplete`);
    await rename(`${link}.incomplete`, link);
  }
}

async function replaceFile(path: string, text: string): Promise<void> {
  await attempt(path, async () => {
    await mkdir(dirname(path), { recursive: true });
    const temporary = `${path}.${process.pid}.incomplete`;
    await writeFile(temporary, text);
    await rename(temporary, path);
  });
}

async function openIfPresent(path: string): Promise<ByteSource | undefined> {
  // Follows the link: one whose blob is gone is as good as none.
  return (await ifPresent(stat(path))) && openFile(path);
}

async function ifPresent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw failure('the cache', error);
  }
}

async function attempt<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw failure(path, error);
  }
}

function failure(path: string, cause: unknown): MambaError {
  if (isMambaError(cause)) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MambaError('io', `the cache of the hub cannot be used: ${reason}`, { origin: path, cause });
}
