import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { MambaError } from '@mamba/core';

/**
 * Imports a module by its path, or a package: one that is installed beside this package, or in the current project.
 * @returns undefined where it is not installed.
 * @throws MambaError `unavailable` where it is there and cannot be loaded.
 */
export async function importModule(specifier: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  const isPath = /^\.{0,2}[/\\]|^[A-Za-z]:\\/.test(specifier);
  const places = isPath
    ? [() => pathToFileURL(resolve(specifier)).href]
    : [
        () => specifier,
        () => pathToFileURL(createRequire(join(process.cwd(), 'package.json')).resolve(specifier)).href,
      ];
  for (const place of places) {
    try {
      return (await import(place())) as Readonly<Record<string, unknown>>;
    } catch (cause) {
      if (isMissing(cause, isPath ? resolve(specifier) : specifier)) continue;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new MambaError('unavailable', `${specifier} cannot be loaded: ${reason}`, { origin: specifier, cause });
    }
  }
  return undefined;
}

/** Whether this very module is missing, rather than one that it imports. */
function isMissing(error: unknown, specifier: string): boolean {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  return (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') && String(message).includes(`'${specifier}'`);
}
