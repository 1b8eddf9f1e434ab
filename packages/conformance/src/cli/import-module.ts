/** Imports what an option of the command line names. */
import { createRequire } from 'node:module';
import { isAbsolute, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

export type Module = Readonly<Record<string, unknown>>;

/** Imports the module of a path, an address, or a package, which is looked for in the current folder first. */
export async function importModule(specifier: string): Promise<Module> {
  if (/^\.{0,2}[/\\]/.test(specifier) || isAbsolute(specifier) || /\.[cm]?js$/.test(specifier))
    return (await import(pathToFileURL(resolve(specifier)).href)) as Module;
  if (/^(file|data):/.test(specifier)) return (await import(specifier)) as Module;
  return (await import(findPackage(specifier))) as Module;
}

/** Whether an import failed because there is no such module, and not inside it. */
export function isMissing(cause: unknown, specifier: string): boolean {
  return (
    (cause as { code?: unknown } | undefined)?.code === 'ERR_MODULE_NOT_FOUND' && String(cause).includes(specifier)
  );
}

/** Looks for a package in the current folder, and then beside this package. */
function findPackage(specifier: string): string {
  try {
    return pathToFileURL(createRequire(join(process.cwd(), 'package.json')).resolve(specifier)).href;
  } catch {
    return specifier;
  }
}
