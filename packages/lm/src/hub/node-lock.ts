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

/** Interval in milliseconds at which waiting processes look at the lock. */
const POLL_MS = 100;
/** Interval in milliseconds at which the owner touches the lock. */
const HEARTBEAT_MS = 2000;
/**
 * A lock that has not been touched for so many polls is abandoned. Counting polls avoids comparing the clocks of hosts.
 */
const MAX_UNCHANGED_POLLS = 300;

/** The end of the queue for each lock within this process. */
const queues = new Map<string, Promise<void>>();

/**
 * Waits for a lock file. Locks of processes that have ended are broken. The lock avoids duplicate work, and correctness
 * must not depend on it: if its owner is suspended for longer than the limit, a second process gets it too.
 * @throws MambaError `aborted`; `io` if the file cannot be created.
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

/** Waits for the lock among processes. */
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
    if (isAbandoned(there.text) || unchanged >= MAX_UNCHANGED_POLLS) await breakLock(path, there.text);
    else await unlessAborted(pause(POLL_MS, signal), path, signal);
  }
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {});
  }, HEARTBEAT_MS);
  heartbeat.unref();
  return {
    async release() {
      clearInterval(heartbeat);
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

/** Removes a lock if its content is still `text`: another process may have replaced it meanwhile. */
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

/** @returns false if the lock exists. */
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

/** Undefined if the lock is gone. */
async function look(path: string): Promise<Seen | undefined> {
  try {
    return { text: await readFile(path, 'utf8'), changed: (await stat(path)).mtimeMs };
  } catch {
    return undefined;
  }
}
