/** Where the built files of this app are, whether the caller runs from src or from dist. Node only. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const appFolder = dirname(dirname(fileURLToPath(import.meta.url)));

/** A file in dist: `builtFile('runner', 'host-node.js')`. */
export function builtFile(...path: readonly string[]): string {
  return join(appFolder, 'dist', ...path);
}
