/** The packages that are published, and their scope. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../lib.mjs';

/** The scope that sources are written with. */
export const SCOPE = '@mamba';

const read = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));

/** Returns `{ scope, repository }` of the root's package.json: the scope and the repository of a release. */
export const publishing = () => read(root).publishing;

/** Returns folder, short name and manifest of each published package. */
export function publishedPackages() {
  return readdirSync(join(root, 'packages'))
    .sort()
    .map((short) => ({ short, folder: join(root, 'packages', short), manifest: read(join(root, 'packages', short)) }))
    .filter(({ manifest }) => manifest.private !== true);
}

/** @throws where it is no valid scope of npm. */
export function checkScope(scope) {
  if (!/^@[a-z0-9][a-z0-9._-]*$/.test(scope ?? '')) throw new Error(`${scope} is no scope: one is written @name`);
  return scope;
}
