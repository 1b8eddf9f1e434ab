/** Paths of the built files of this app, for callers in src and in dist alike. Node only. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const appFolder = dirname(dirname(fileURLToPath(import.meta.url)));

/** A file in dist: `builtFile('runner', 'host-node.js')`. */
export function builtFile(...path: readonly string[]): string {
  return join(appFolder, 'dist', ...path);
}
