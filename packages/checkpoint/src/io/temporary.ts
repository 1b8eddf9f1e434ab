import { createHash, randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';

const HOST = hostname().replace(/\W/g, '_') || 'host';
const STAMP = /^(\w+)-(\d+)-[0-9a-f]{16}$/;

/** Identifies the owner of a temporary path: the host, the process, and a number within the process. */
export function ownerStamp(): string {
  return `${HOST}-${process.pid}-${randomBytes(8).toString('hex')}`;
}

/** Whether the process of an owner is known to have ended. That is unknown for a process of another host. */
export function isAbandoned(stamp: string): boolean {
  const [, host, pid] = STAMP.exec(stamp) ?? [];
  if (host !== HOST) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/**
 * The path where something is made before it is moved to its target: beside the target, and so on the same file system.
 */
export function temporaryPath(target: string): string {
  return siblingPath(target, 'partial');
}

/** The path where the old target is kept while the new one takes its place. */
export function asidePath(target: string): string {
  return siblingPath(target, 'replaced');
}

/** The old targets that processes moved aside and did not restore or remove before they ended. */
export async function abandonedAside(target: string): Promise<readonly string[]> {
  const names = await readdir(dirname(target)).catch(() => []);
  return names.filter((name) => isOf(target, name, 'replaced')).map((name) => join(dirname(target), name));
}

function siblingPath(target: string, ending: string): string {
  return join(dirname(target), `.${stem(target)}.${ownerStamp()}.${ending}`);
}

function stem(target: string): string {
  const name = basename(target);
  // A name has at most 255 bytes.
  return Buffer.byteLength(name) <= 150 ? name : createHash('sha256').update(name).digest('hex');
}

/** Whether a name is an abandoned temporary path: of this target, or of any if none is named. */
function isOf(target: string | undefined, name: string, ending: string): boolean {
  const [, of, stamp, kind] = /^\.(.*)\.([^.]+)\.([^.]+)$/s.exec(name) ?? [];
  if (stamp === undefined || kind !== ending || !isAbandoned(stamp)) return false;
  return target === undefined || of === stem(target);
}

/**
 * Removes temporary paths of processes that have ended: those of one target, or all in a folder. Never throws; paths
 * that cannot be removed remain.
 */
export async function removeAbandoned(folder: string, target?: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    if (isOf(target, name, 'partial')) await rm(join(folder, name), { recursive: true, force: true }).catch(() => {});
  }
}
