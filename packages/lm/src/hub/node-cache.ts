import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import { type ByteSource, isAbandoned, openFile, removeAbandoned } from '@mamba/checkpoint';
import { MambaError } from '@mamba/core';
import type { HubCache } from './cache.ts';
import { HASH } from './hash.ts';
import { isSound } from './node-blob.ts';
import { ifPresent, replaceText } from './node-disk.ts';
import { openDownload } from './node-download.ts';
import { breakLock, type LockOptions } from './node-lock.ts';

/**
 * A repository in the cache folder of Hugging Face's own tools, which can use it too. `blobs` holds content by hash,
 * `snapshots/<commit>` links to blobs, `refs/<revision>` a commit, and `.no_exist/<commit>` empty files for what the
 * repository does not have. A download is `blobs/<hash>.incomplete` until it is complete and checked. `.mamba` holds
 * files that those tools do not know: locks, temporary files, and the size and times of blobs when they were checked.
 */
export function openCache(folder: string, options: LockOptions = {}): HubCache {
  const snapshot = (commit: string, file = ''): string => join(folder, 'snapshots', commit, file);
  const absent = (commit: string, file: string): string => join(folder, '.no_exist', commit, file);
  const blob = (hash: string): string => join(folder, 'blobs', hash);
  const own = join(folder, '.mamba');
  const note = (hash: string): string => join(own, `${hash}.sound`);
  // Errors are ignored, since this only saves a request the next time, and the cache may be read-only.
  const keep = (path: string, text: string): Promise<void> =>
    replaceText(path, text, join(own, 'text')).catch(() => undefined);
  let swept: Promise<void> | undefined;
  return {
    async commitOf(revision) {
      const text = await ifPresent(readFile(join(folder, 'refs', revision), 'utf8'));
      return text?.trim();
    },
    setCommit: (revision, commit) => keep(join(folder, 'refs', revision), commit),
    list: (commit) => filesIn(snapshot(commit)),
    open: (commit, file) =>
      openChecked(snapshot(commit, file), (hash) => isSound(blob(hash), hash, note(hash), options.signal)),
    isAbsent: async (commit, file) => (await ifPresent(stat(absent(commit, file)))) !== undefined,
    setAbsent: (commit, file) => keep(absent(commit, file), ''),
    async download(commit, file) {
      swept ??= sweep(own);
      await swept;
      const { name, hash } = file;
      const temporary = join(own, hash);
      const paths = { blob: blob(hash), link: snapshot(commit, name), lock: join(own, `${hash}.lock`) };
      return openDownload({ ...paths, note: note(hash), temporary }, file, options);
    },
  };
}

/** Opens a file after checking its blob; undefined if there is none. */
async function openChecked(path: string, sound: (hash: string) => Promise<boolean>): Promise<ByteSource | undefined> {
  if ((await ifPresent(stat(path))) === undefined) return undefined;
  const hash = basename(await readlink(path).catch(() => ''));
  // On a disk without links there is a copy, whose hash is unknown.
  if (HASH.test(hash) && !(await sound(hash)))
    throw new MambaError('invalid-file', `${path} is damaged`, {
      origin: path,
      given: 'other content in the cache than came',
      expected: `the hash ${hash}`,
      remedy: 'Load it once with a connection: it is fetched again then.',
    });
  return openFile(path);
}

/** Paths of all files below a folder, with slashes. */
async function filesIn(folder: string): Promise<readonly string[]> {
  const entries = (await ifPresent(readdir(folder, { recursive: true, withFileTypes: true }))) ?? [];
  return entries
    .filter((entry) => !entry.isDirectory())
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)).split(sep).join('/'));
}

/** Removes temporary files and locks of processes that have ended. */
async function sweep(own: string): Promise<void> {
  await removeAbandoned(own);
  for (const name of await readdir(own).catch(() => [])) {
    if (!name.endsWith('.lock')) continue;
    const stamp = await readFile(join(own, name), 'utf8').catch(() => '');
    if (isAbandoned(stamp)) await breakLock(join(own, name), stamp);
  }
}
