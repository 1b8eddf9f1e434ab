/** Copies what a release needs of this repository, with what is built; what is installed is shared. */
import { cpSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../../lib.mjs';

const WHOLE = ['package.json', 'pnpm-workspace.yaml', 'pnpm-lock.yaml', '.changeset', 'scripts', 'packages'];
/** Groups of which the manifests are enough: changesets has to know every package of the workspace. */
const MANIFESTS = ['apps', 'tools', 'examples'];
/** What no release needs. Other tests make files below some of these while this one copies. */
const LEFT_OUT = /[\\/](fixtures|test|consumers|\.(?!changeset)[\w-]+)$/;

export function copyRepository(folder) {
  mkdirSync(folder, { recursive: true });
  // Links between packages are relative, so that in the copy they lead to the copy's packages.
  const options = { recursive: true, verbatimSymlinks: true, filter: (path) => !LEFT_OUT.test(path) };
  for (const name of WHOLE) cpSync(join(root, name), join(folder, name), options);
  for (const group of MANIFESTS)
    for (const name of readdirSync(join(root, group))) {
      const manifest = join(group, name, 'package.json');
      mkdirSync(dirname(join(folder, manifest)), { recursive: true });
      cpSync(join(root, manifest), join(folder, manifest));
    }
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'), 'junction');
}
