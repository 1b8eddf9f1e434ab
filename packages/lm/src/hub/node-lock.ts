import { link, mkdir, open, readFile, rename, stat, unlink, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isAbandoned, ownerStamp, temporaryPath, type Wait, wait } from '@mamba/checkpoint';
import { MambaError } from '@mamba/core';
import { attempt } from './node-disk.ts';

export interface Lock {
  /** Never throws. */
  release(): Promise<void>;
}

export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Default: a timer. */
  readonly wait?: Wait | undefined;
}

/** In milliseconds: how often it is looked at, and how often its owner shows that it lives. */
const LOOK = 100;
const BEAT = 2000;
/**
 * An owner who did nothing for so many looks is taken for dead, whatever its host: no clock is compared with another.
 */
const PATIENCE = 300;

/** Of this process: the ends of those who have a lock, or wait for it. */
const queues = new Map<string, Promise<void>>();

/**
 * Waits until nobody else has the file. Locks of dead processes are broken. It keeps work from being done twice and is
 * not what correctness rests on: two may come to hold it where an owner was stopped for longer than the patience.
 * @throws MambaError `aborted`, `io` where it cannot be made.
 */
export async function acquireLock(path: string, options: LockOptions = {}): Promise<Lock> {
  const before = queues.get(path) ?? Promise.resolve();
  let leave = (): void => {};
  const left = new Promise<void>((resolve) => {
    leave = resolve;
  });
  const end = before.then(() => left);
  queues.set(path, end);
  end.then(() => {
    if (queues.get(path) === end) queues.delete(path);
  });
  try {
    await unlessAborted(before, path, options.signal);
    const lock = await acquireFile(path, options);
    return {
      async release() {
        await lock.release();
        leave();
      },
    };
  } catch (error) {
    leave();
    throw error;
  }
}

/** Among processes. */
async function acquireFile(path: string, { signal, wait: pause = wait }: LockOptions): Promise<Lock> {
  const stamp = ownerStamp();
  await attempt(path, () => mkdir(dirname(path), { recursive: true }));
  let seen: Seen | undefined;
  let unchanged = 0;
  while (!(await attempt(path, () => create(path, stamp)))) {
    const there = await look(path);
    if (there === undefined) continue;
    unchanged = there.text === seen?.text && there.changed === seen.changed ? unchanged + 1 : 0;
    seen = there;
    if (isAbandoned(there.text) || unchanged >= PATIENCE) await breakLock(path, there.text);
    else await unlessAborted(pause(LOOK, signal), path, signal);
  }
  const beat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {});
  }, BEAT);
  beat.unref();
  return {
    async release() {
      clearInterval(beat);
      if ((await look(path))?.text === stamp) await unlink(path).catch(() => {});
    },
  };
}

async function unlessAborted(work: Promise<void>, path: string, signal: AbortSignal | undefined): Promise<void> {
  let stop = (): void => {};
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
    if (signal?.aborted) resolve();
    signal?.addEventListener('abort', stop);
  });
  await Promise.race([work, stopped]);
  signal?.removeEventListener('abort', stop);
  if (signal?.aborted)
    throw new MambaError('aborted', `waiting for ${path} was aborted`, { origin: path, cause: signal.reason });
}

/** Takes away a lock that is this one still: another may have broken it and made its own meanwhile. */
export async function breakLock(path: string, text: string): Promise<void> {
  const aside = temporaryPath(path);
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  const taken = await readFile(aside, 'utf8').catch(() => text);
  if (taken !== text) await link(aside, path).catch(() => {});
  await unlink(aside).catch(() => {});
}

interface Seen {
  readonly text: string;
  readonly changed: number;
}

async function create(path: string, stamp: string): Promise<boolean> {
  try {
    const handle = await open(path, 'wx');
    try {
      await handle.writeFile(stamp);
    } finally {
      await handle.close();
    }
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Undefined where it is gone. */
async function look(path: string): Promise<Seen | undefined> {
  try {
    return { text: await readFile(path, 'utf8'), changed: (await stat(path)).mtimeMs };
  } catch {
    return undefined;
  }
}
