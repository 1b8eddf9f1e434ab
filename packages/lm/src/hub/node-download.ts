import { copyFile, type FileHandle, mkdir, open, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { Transient, temporaryPath } from '@mamba/checkpoint';
import { MambaError } from '@mamba/core';
import type { Download, HubFile } from './cache.ts';
import { hashFile, isSound } from './node-blob.ts';
import { attempt, ifPresent } from './node-disk.ts';
import { acquireLock, type LockOptions } from './node-lock.ts';

/** Where the parts of one file are. */
export interface DownloadPlaces {
  readonly blob: string;
  readonly link: string;
  readonly lock: string;
  /** What a sound blob looked like. */
  readonly note: string;
  /** Beside it temporary files are made. */
  readonly temporary: string;
}

/**
 * A file on its way to `<blob>.incomplete`, to the blob, to the link. One process downloads it, others wait for that.
 * Should two come to write it after all, they write the same bytes to the same places, and whoever begins anew does so
 * in a file of its own.
 */
export async function openDownload(places: DownloadPlaces, file: HubFile, options: LockOptions): Promise<Download> {
  const { blob, link, note } = places;
  const { signal } = options;
  const sound = (): Promise<boolean> => isSound(blob, file.hash, note, signal);
  const place = (): Promise<void> => attempt(link, () => placeLink(places));
  const present: Download = { received: file.size, write: nothing, restart: nothing, finish: place, leave: nothing };
  if (await sound()) return present;
  const lock = await acquireLock(places.lock, options);
  try {
    // Whom it waited for has it.
    if (await sound()) {
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
          await name(partial.path, places, file, signal);
          if (!(await sound())) throw overtaken(file);
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
 * Checks what lies on the disk and makes it the blob. It has a name of its own meanwhile, by which nobody else can
 * change what was checked for something else.
 * @throws MambaError `invalid-file` where it is damaged, and gone then; `io` where another process took it.
 */
async function name(path: string, places: DownloadPlaces, file: HubFile, signal?: AbortSignal): Promise<void> {
  const { blob, temporary } = places;
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

/** Another process has the lock too, and is about to make it the blob, or failed to. */
function overtaken({ name }: HubFile): MambaError {
  const reason = 'another process took it at the same time';
  return new MambaError('io', `${name} was not kept: ${reason}`, {
    origin: name,
    remedy: 'Try again.',
    cause: new Transient(reason),
  });
}

/** A file that is appended to. */
class PartialFile {
  readonly path: string;
  received = 0;
  #handle: FileHandle;

  private constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  /** With what an earlier download left, unless that is too much. */
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

  /** In a new file: the old one may be open elsewhere. */
  async restart(): Promise<void> {
    await this.close();
    await this.remove();
    this.#handle = await attempt(this.path, () => open(this.path, 'wx+'));
    this.received = 0;
  }

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

/** Replaces what is there in one step, so that whoever looks always finds one. */
async function placeLink({ blob, link, temporary }: DownloadPlaces): Promise<void> {
  const target = relative(dirname(link), blob);
  if ((await readlink(link).catch(() => undefined)) === target) return;
  await mkdir(dirname(link), { recursive: true });
  await mkdir(dirname(temporary), { recursive: true });
  const made = temporaryPath(temporary);
  try {
    await symlink(target, made);
  } catch {
    // Where links are not allowed, as on Windows.
    await copyFile(blob, made);
  }
  await rename(made, link);
}
