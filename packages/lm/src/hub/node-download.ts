import { copyFile, type FileHandle, mkdir, open, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { Transient, temporaryPath } from '@mamba/checkpoint';
import { MambaError } from '@mamba/core';
import type { Download, HubFile } from './cache.ts';
import { hashFile, isSound } from './node-blob.ts';
import { attempt, ifPresent } from './node-disk.ts';
import { acquireLock, type LockOptions } from './node-lock.ts';

/** Paths of one file in the cache. */
export interface DownloadPaths {
  readonly blob: string;
  /** The link in the snapshot. */
  readonly link: string;
  readonly lock: string;
  /** The file that stores the size and times of the checked blob. */
  readonly note: string;
  /** The prefix of temporary files. */
  readonly temporary: string;
}

/**
 * Downloads into `<blob>.incomplete`, which then becomes the blob, and links to it. One process downloads while others
 * wait for it. If two ever write at once, they write the same bytes at the same offsets, and one that restarts writes
 * to a new file.
 */
export async function openDownload(paths: DownloadPaths, file: HubFile, options: LockOptions): Promise<Download> {
  const { blob, link, note } = paths;
  const { signal } = options;
  const isReady = (): Promise<boolean> => isSound(blob, file.hash, note, signal);
  const place = (): Promise<void> => attempt(link, () => placeLink(paths));
  const present: Download = { received: file.size, write: nothing, restart: nothing, finish: place, leave: nothing };
  if (await isReady()) return present;
  const lock = await acquireLock(paths.lock, options);
  try {
    // Another process downloaded it meanwhile.
    if (await isReady()) {
      await lock.release();
      return present;
    }
    const partial = await PartialFile.open(`${blob}.incomplete`, file.size);
    return {
      get received() {
        return partial.received;
      },
      write: (bytes) => partial.write(bytes),
      restart: () => partial.restart(),
      async finish() {
        try {
          await partial.end();
          await makeBlob(partial.path, paths, file, signal);
          if (!(await isReady())) throw takenByOther(file);
          await place();
        } finally {
          await lock.release();
        }
      },
      async leave() {
        await partial.close();
        await lock.release();
      },
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/**
 * Checks a complete file and makes it the blob. It is renamed before, so that no other process can replace it after it
 * has been checked. Does nothing if another process has taken it.
 * @throws MambaError `invalid-file` if it is damaged; it is removed then.
 */
async function makeBlob(path: string, paths: DownloadPaths, file: HubFile, signal?: AbortSignal): Promise<void> {
  const { blob, temporary } = paths;
  const own = temporaryPath(temporary);
  await attempt(path, () => mkdir(dirname(own), { recursive: true }));
  const taken = await ifPresent(rename(path, own).then(() => true));
  if (taken === undefined) return;
  let digest: string | undefined;
  try {
    digest = await hashFile(own, file.hash, signal);
  } catch (error) {
    await rename(own, path).catch(() => {});
    throw error;
  }
  if (digest === file.hash) return attempt(blob, () => rename(own, blob));
  const size = (await ifPresent(stat(own)))?.size;
  await attempt(own, () => rm(own, { force: true }));
  throw new MambaError('invalid-file', `${file.name} came damaged`, {
    origin: file.name,
    given: `${size} bytes with the hash ${digest}`,
    expected: `${file.size} with ${file.hash}`,
    remedy: 'Try again; it was not kept.',
  });
}

/** The error if another process holds the lock as well, and took the file. */
function takenByOther({ name }: HubFile): MambaError {
  const reason = 'another process took it at the same time';
  return new MambaError('io', `${name} was not kept: ${reason}`, {
    origin: name,
    remedy: 'Try again.',
    cause: new Transient(reason),
  });
}

/** A file that downloaded bytes are appended to. */
class PartialFile {
  readonly path: string;
  received = 0;
  #handle: FileHandle;

  private constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  /** Keeps the bytes of an earlier download, unless they are more than the file has. */
  static async open(path: string, size: number): Promise<PartialFile> {
    return attempt(path, async () => {
      await mkdir(dirname(path), { recursive: true });
      const left = await ifPresent(open(path, 'r+'));
      const partial = new PartialFile(path, left ?? (await open(path, 'wx+')));
      partial.received = (await partial.#handle.stat()).size;
      if (partial.received > size) await partial.restart();
      return partial;
    });
  }

  async write(bytes: Uint8Array): Promise<void> {
    await attempt(this.path, async () => {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, this.received);
        done += bytesWritten;
        this.received += bytesWritten;
      }
    });
  }

  /** Starts a new file, since another process may have the old one open. */
  async restart(): Promise<void> {
    await this.close();
    await this.remove();
    this.#handle = await attempt(this.path, () => open(this.path, 'wx+'));
    this.received = 0;
  }

  /** Flushes and closes the file. */
  async end(): Promise<void> {
    try {
      await attempt(this.path, () => this.#handle.sync());
    } finally {
      await this.close();
    }
  }

  close(): Promise<void> {
    return this.#handle.close().catch(() => {});
  }

  remove(): Promise<void> {
    return attempt(this.path, () => rm(this.path, { force: true }));
  }
}

async function nothing(): Promise<void> {}

/** Replaces the link atomically, so that readers always find one. */
async function placeLink({ blob, link, temporary }: DownloadPaths): Promise<void> {
  const target = relative(dirname(link), blob);
  if ((await readlink(link).catch(() => undefined)) === target) return;
  await mkdir(dirname(link), { recursive: true });
  await mkdir(dirname(temporary), { recursive: true });
  const made = temporaryPath(temporary);
  try {
    await symlink(target, made);
  } catch {
    // Links are not always allowed, as on Windows.
    await copyFile(blob, made);
  }
  await rename(made, link);
}
