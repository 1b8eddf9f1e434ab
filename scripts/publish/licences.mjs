/** The licences of what the published packages need when they run. */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { publishedPackages, SCOPE } from './packages.mjs';

/** Licences that allow what Apache-2.0 allows. Others need somebody to read them before they are added here. */
export const ALLOWED = ['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT'];

/** Packages under other licences, each with the reason why it may come along. */
export const EXCEPTIONS = {
  lightningcss: "MPL-2.0 binds its own files; it comes with vitest, an optional peer that runs a user's tests",
};

/** Returns `{ name, version, licence }` of every package of others that comes with ours, optional peers included. */
export function foreignPackages() {
  const found = new Map();
  const visit = (folder, manifest) => {
    for (const name of Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })) {
      if (name.startsWith(`${SCOPE}/`)) continue;
      const optional = manifest.peerDependenciesMeta?.[name]?.optional === true;
      const place = placeOf(name, folder);
      if (place === undefined && optional) continue;
      if (place === undefined) throw new Error(`${name} of ${manifest.name} is not installed: run npm run build`);
      if (found.has(place)) continue;
      const needed = JSON.parse(readFileSync(join(place, 'package.json'), 'utf8'));
      found.set(place, { name, version: needed.version, licence: needed.license ?? 'none' });
      visit(place, needed);
    }
  };
  for (const { folder, manifest } of publishedPackages()) visit(folder, manifest);
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The folder of a dependency: below the package that needs it or, as pnpm installs what it needs, beside it. */
function placeOf(name, folder) {
  for (let above = folder; ; above = dirname(above)) {
    const place = above.endsWith(`${sep}node_modules`) ? join(above, name) : join(above, 'node_modules', name);
    if (existsSync(join(place, 'package.json'))) return realpathSync(place);
    if (above === dirname(above)) return undefined;
  }
}
