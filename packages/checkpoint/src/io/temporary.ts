import { createHash, randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';

const HOST = hostname().replace(/\W/g, '_') || 'host';
const STAMP = /^(\w+)-(\d+)-[0-9a-f]{16}$/;

/** Says whose a thing on the disk is: a host, a process of it, and which of its things. */
export function ownerStamp(): string {
  return `${HOST}-${process.pid}-${randomBytes(8).toString('hex')}`;
}

/** Whether its process is known to be gone. Of another host's that cannot be known. */
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

/** Where something is made before it is moved to its place: beside that, so on the same file system. */
export function temporaryPath(target: string): string {
  return besides(target, 'partial');
}

/** Where something is put aside while another thing takes its place. */
export function asidePath(target: string): string {
  return besides(target, 'replaced');
}

/** What was put aside of a target by processes that are gone: they had not done with it. */
export async function abandonedAside(target: string): Promise<readonly string[]> {
  const names = await readdir(dirname(target)).catch(() => []);
  return names.filter((name) => isOf(target, name, 'replaced')).map((name) => join(dirname(target), name));
}

function besides(target: string, ending: string): string {
  return join(dirname(target), `.${stem(target)}.${ownerStamp()}.${ending}`);
}

function stem(target: string): string {
  const name = basename(target);
  // No name may be longer than 255 bytes.
  return Buffer.byteLength(name) <= 150 ? name : createHash('sha256').update(name).digest('hex');
}

/** Whether it is an abandoned one, of any target where none is named. */
function isOf(target: string | undefined, name: string, ending: string): boolean {
  const [, of, stamp, kind] = /^\.(.*)\.([^.]+)\.([^.]+)$/s.exec(name) ?? [];
  if (stamp === undefined || kind !== ending || !isAbandoned(stamp)) return false;
  return target === undefined || of === stem(target);
}

/**
 * Removes what processes that are gone left of `temporaryPath`: of one target, or all that is in a folder. Never
 * throws: what cannot be removed stays.
 */
export async function removeAbandoned(folder: string, target?: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    if (isOf(target, name, 'partial')) await rm(join(folder, name), { recursive: true, force: true }).catch(() => {});
  }
}
