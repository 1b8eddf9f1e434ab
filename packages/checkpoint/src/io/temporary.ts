import { randomBytes } from 'node:crypto';
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
  return join(dirname(target), `.${basename(target).slice(0, 100)}.${ownerStamp()}.partial`);
}

/**
 * Removes what processes that are gone left of `temporaryPath`: of one target, or all that is in a folder. Never throws: what cannot be
 * removed stays.
 */
export async function removeAbandoned(folder: string, target?: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    const [, of, stamp] = /^\.(.*)\.([^.]+)\.partial$/.exec(name) ?? [];
    if (stamp === undefined || !isAbandoned(stamp)) continue;
    if (target !== undefined && of !== basename(target).slice(0, 100)) continue;
    await rm(join(folder, name), { recursive: true, force: true }).catch(() => {});
  }
}
