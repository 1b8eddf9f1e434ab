import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { temporaryPath } from '@mamba/checkpoint';
import { isMambaError, MambaError } from '@mamba/core';

/** Undefined if there is no such file. @throws MambaError `io`, `aborted` */
export async function ifPresent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw diskFailure(path ?? 'the cache', error);
  }
}

/** Runs `act`, and turns its errors into errors of type `MambaError`. @throws MambaError `io`, `aborted` */
export async function attempt<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw diskFailure(path, error);
  }
}

/** Writes a file atomically: readers see the old text or the new one. */
export async function replaceText(path: string, text: string, temporaries: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await mkdir(dirname(temporaries), { recursive: true });
  const temporary = temporaryPath(temporaries);
  await writeFile(temporary, text);
  await rename(temporary, path);
}

export function diskFailure(path: string, cause: unknown): MambaError {
  if (isMambaError(cause)) return cause;
  const { code, name, message } = cause as NodeJS.ErrnoException;
  if (name === 'AbortError') return new MambaError('aborted', `reading ${path} was aborted`, { origin: path, cause });
  return new MambaError('io', `the cache of the hub cannot be used: ${message}`, {
    origin: path,
    remedy: REMEDIES.get(code ?? '') ?? ELSEWHERE,
    cause,
  });
}

const ELSEWHERE = 'Check that the folder can be written, or give another one (HF_HUB_CACHE).';
const REMEDIES: ReadonlyMap<string, string> = new Map(
  ['ENOSPC', 'EDQUOT'].map((code) => [
    code,
    'Make room, or give a folder with more of it (HF_HUB_CACHE); what came is kept.',
  ]),
);
