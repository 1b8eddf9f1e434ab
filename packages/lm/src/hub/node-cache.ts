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
 * The folder that Hugging Face's own tools keep a repository in, for them and for us: `blobs` by hash,
 * `snapshots/<commit>` with links to them, `refs/<revision>` with a commit, `.no_exist/<commit>` with empty files for
 * what there is not. A download is `blobs/<hash>.incomplete` until it is whole and checked. What they do not know is in
 * `.mamba`: locks, temporary files, and what blobs looked like when they were checked.
 */
export function openCache(folder: string, options: LockOptions = {}): HubCache {
  const snapshot = (commit: string, file = ''): string => join(folder, 'snapshots', commit, file);
  const absent = (commit: string, file: string): string => join(folder, '.no_exist', commit, file);
  const blob = (hash: string): string => join(folder, 'blobs', hash);
  const own = join(folder, '.mamba');
  const note = (hash: string): string => join(own, `${hash}.sound`);
  // Only spares a question the next time, so nothing fails of it: the cache may be one that can be read alone.
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
      const places = { blob: blob(hash), link: snapshot(commit, name), lock: join(own, `${hash}.lock`) };
      return openDownload({ ...places, note: note(hash), temporary }, file, options);
    },
  };
}

/** Links left out whose blob is gone. */
async function openChecked(path: string, sound: (hash: string) => Promise<boolean>): Promise<ByteSource | undefined> {
  if ((await ifPresent(stat(path))) === undefined) return undefined;
  const hash = basename(await readlink(path).catch(() => ''));
  // A copy, where there can be no links, does not say what it should be.
  if (HASH.test(hash) && !(await sound(hash)))
    throw new MambaError('invalid-file', `${path} is damaged`, {
      origin: path,
      given: 'other content in the cache than came',
      expected: `the hash ${hash}`,
      remedy: 'Load it once with a connection: it is fetched again then.',
    });
  return openFile(path);
}

/** Names with the folders below, by slashes. */
async function filesIn(folder: string): Promise<readonly string[]> {
  const entries = (await ifPresent(readdir(folder, { recursive: true, withFileTypes: true }))) ?? [];
  return entries
    .filter((entry) => !entry.isDirectory())
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)).split(sep).join('/'));
}

/** What processes left that are gone. */
async function sweep(own: string): Promise<void> {
  await removeAbandoned(own);
  for (const name of await readdir(own).catch(() => [])) {
    if (!name.endsWith('.lock')) continue;
    const stamp = await readFile(join(own, name), 'utf8').catch(() => '');
    if (isAbandoned(stamp)) await breakLock(join(own, name), stamp);
  }
}
