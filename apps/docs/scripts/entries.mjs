// The entry points of the published packages: what a user can import, by name and by source.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../../scripts/lib.mjs';

/**
 * Every entry point: the name to import it by, and its source as a path from the root, since dist/x.js is made of
 * src/x.ts.
 */
export const entries = readdirSync(join(root, 'packages')).flatMap(entriesOf);

function entriesOf(folder) {
  const { name, exports } = JSON.parse(readFileSync(join(root, 'packages', folder, 'package.json'), 'utf8'));
  return Object.entries(exports)
    .filter(([, entry]) => entry.default?.startsWith('./dist/'))
    .map(([path, entry]) => ({
      name: name + path.slice(1),
      source: `packages/${folder}/${entry.default.replace('./dist/', 'src/').replace(/\.js$/, '.ts')}`,
    }));
}
