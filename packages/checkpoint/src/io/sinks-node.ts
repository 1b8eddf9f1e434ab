import { link, mkdir, open, realpath, rename, rm, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { invalid } from '@mamba/core';
import type { ByteSink, FolderSink, SinkOptions } from './byte-sink.ts';
import { fileFailure } from './files-node.ts';
import { abandonedAside, asidePath, removeAbandoned, temporaryPath } from './temporary.ts';

/**
 * Creates a file. It is written beside its path and moved there when it is complete and on the disk, so that readers
 * see the old file or the new one, never a part. Where the path is a link, its target is replaced.
 * @throws MambaError `io` where it cannot be created, where the path is not a file, or where it exists and is not to be
 * replaced; `invalid-argument` for an empty path.
 */
export async function createFile(path: string | URL, { replace = true }: SinkOptions = {}): Promise<ByteSink> {
  const name = nameOf('createFile', path);
  return openSink(name, resolve(name), replace);
}

/** @param name The name of the file, for messages. */
async function openSink(name: string, path: string, replace: boolean): Promise<ByteSink> {
  const attempt = attempting(name);
  const target = await attempt(fileToReplace(path, replace));
  await removeAbandoned(dirname(target), target);
  const temporary = temporaryPath(target);
  const handle = await attempt(open(temporary, 'wx'));
  return {
    name,
    async write(bytes) {
      let done = 0;
      while (done < bytes.length) done += (await attempt(handle.write(bytes, done))).bytesWritten;
    },
    async close() {
      await attempt(handle.sync());
      await attempt(handle.close());
      await attempt(replace ? rename(temporary, target) : place(temporary, target));
    },
    async abort() {
      await handle.close().catch(() => {});
      await unlink(temporary).catch(() => {});
    },
  };
}

/**
 * Creates a folder of files that belong together. It is written beside its path and moved there as a whole. A folder
 * that has files is replaced only with `replace`, and then with everything in it.
 * @throws MambaError `io` where it cannot be created, where the path is not a folder, or where it has files that are
 * not to be replaced; `invalid-argument` for an empty path.
 */
export async function createFolder(path: string | URL, { replace = false }: SinkOptions = {}): Promise<FolderSink> {
  const name = nameOf('createFolder', path);
  const attempt = attempting(name);
  const target = await attempt(folderToReplace(resolve(name)));
  await removeAbandoned(dirname(target), target);
  await recoverFolder(target);
  const temporary = temporaryPath(target);
  // The first folder of the path that had to be created.
  const made = await attempt(mkdir(temporary, { recursive: true }));
  return {
    name,
    createFile: (file) => openSink(join(name, file), join(temporary, file), false),
    close: () => attempt(replace ? exchange(temporary, target) : placeFolder(temporary, target)),
    async abort() {
      await rm(temporary, { recursive: true, force: true }).catch(() => {});
      for (let folder = dirname(temporary); made !== undefined && folder.startsWith(made); folder = dirname(folder))
        await rmdir(folder).catch(() => {});
    },
  };
}

/** Refuses an empty path, which would mean the current folder, and replace it. */
function nameOf(origin: string, path: string | URL): string {
  const name = path instanceof URL ? fileURLToPath(path) : path;
  if (typeof name !== 'string' || name === '') throw invalid(`${origin}.path`, JSON.stringify(name), 'a path');
  return name;
}

/** The path of the file to replace, with links followed. Nothing but a file is replaced. */
async function fileToReplace(path: string, replace: boolean): Promise<string> {
  const there = await ifPresent(stat(path));
  if (there === undefined) return path;
  if (!there.isFile()) throw new Error('there is something that is no file');
  if (!replace) throw new Error(TAKEN);
  return realpath(path);
}

async function folderToReplace(path: string): Promise<string> {
  const there = await ifPresent(stat(path));
  if (there === undefined) return path;
  if (!there.isDirectory()) throw new Error('there is something that is no folder');
  return realpath(path);
}

/** Moves a file to a path where nothing is. If two processes try this at once, only one succeeds. */
async function place(temporary: string, target: string): Promise<void> {
  try {
    await link(temporary, target);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw new Error(TAKEN);
    // Not all file systems have hard links. There, an empty file reserves the path.
    await open(target, 'wx').then(
      (handle) => handle.close(),
      (reason: unknown) => {
        throw codeOf(reason) === 'EEXIST' ? new Error(TAKEN) : reason;
      },
    );
    return rename(temporary, target);
  }
  await unlink(temporary);
}

/** Moves a folder to its path. The system does this only where there is no folder, or an empty one. */
async function placeFolder(temporary: string, target: string): Promise<void> {
  try {
    await rename(temporary, target);
  } catch (error) {
    throw isTaken(error) ? new Error(TAKEN) : error;
  }
}

/**
 * Replaces a folder. Node cannot exchange two folders in one step, so the old one is moved aside, and back if the new
 * one cannot be moved to its path.
 */
async function exchange(temporary: string, target: string): Promise<void> {
  const aside: string[] = [];
  for (let attempt = 1; ; attempt++) {
    const old = asidePath(target);
    if (await ifPresent(rename(target, old).then(() => true))) aside.push(old);
    try {
      await rename(temporary, target);
      break;
    } catch (error) {
      // Another process was quicker; its folder is replaced in turn.
      if (isTaken(error) && attempt < ATTEMPTS) continue;
      const last = aside.at(-1);
      if (last !== undefined) await rename(last, target).catch(() => {});
      throw error;
    }
  }
  for (const gone of [...aside, ...(await abandonedAside(target))])
    await rm(gone, { recursive: true, force: true }).catch(() => {});
}

/**
 * Restores a folder that a process moved aside before it was killed, so that readers find the old folder. Never throws.
 */
export async function recoverFolder(path: string | URL): Promise<void> {
  const target = resolve(path instanceof URL ? fileURLToPath(path) : path);
  if ((await stat(target).catch(codeOf)) !== 'ENOENT') return;
  const [aside] = await abandonedAside(target);
  if (aside !== undefined) await rename(aside, target).catch(() => {});
}

const ATTEMPTS = 10;
const TAKEN = 'there is one already; give another place, or have it replaced (--force)';

function isTaken(error: unknown): boolean {
  const codes = process.platform === 'win32' ? ['EPERM', 'EACCES'] : [];
  return ['ENOTEMPTY', 'EEXIST', ...codes].includes(String(codeOf(error)));
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

async function ifPresent<T>(work: Promise<T>): Promise<T | undefined> {
  return work.catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

function attempting(name: string): <T>(work: Promise<T>) => Promise<T> {
  return (work) =>
    work.catch((error: unknown) => {
      throw fileFailure(name, error, 'written');
    });
}
