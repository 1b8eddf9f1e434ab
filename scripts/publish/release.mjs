// npm run release -- [--tarballs FOLDER] [--scope @name] [--registry ADDRESS] [--tag NAME] [--provenance] [--dry-run]
// Publishes every package under the scope of package.json's `publishing`: builds and packs them, or takes the tarballs
// that `npm run pack` wrote to a folder. Run again after a failure, it publishes what is missing.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { quiet, root } from '../lib.mjs';
import { buildPackages, packPackages } from './pack.mjs';
import { checkScope, publishedPackages, publishing, SCOPE } from './packages.mjs';
import { publishTarballs, readTarball, tryTarballs } from './registry.mjs';

const { values } = parseArgs({
  options: {
    tarballs: { type: 'string' },
    scope: { type: 'string', default: publishing().scope },
    registry: { type: 'string' },
    tag: { type: 'string', default: 'latest' },
    provenance: { type: 'boolean', default: false },
    'dry-run': { type: 'boolean', default: false },
  },
});
const { tarballs, scope, tag, provenance, 'dry-run': dry } = values;
checkScope(scope);
const lacks = [
  ...(scope === SCOPE ? [`a scope that is ours: ${SCOPE} on npm is somebody else's`] : []),
  ...(publishing().repository === undefined ? ["the repository's address"] : []),
];
if (!dry && lacks.length > 0) {
  console.error(`package.json's "publishing" lacks ${lacks.join(', and ')}`);
  process.exit(2);
}

const stage = mkdtempSync(join(tmpdir(), 'mamba-release-'));
try {
  const files = tarballs === undefined ? pack() : given(resolve(process.env.INIT_CWD ?? root, tarballs));
  const registry = values.registry ?? configured();
  if (dry) tryTarballs(files, { registry, tag });
  else await publishTarballs(files, { registry, tag, provenance });
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  rmSync(stage, { recursive: true, force: true });
}

function pack() {
  buildPackages();
  return Object.values(packPackages(stage, scope));
}

/** Returns the tarballs of a folder, which have to be those of every package under the scope. */
function given(folder) {
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.tgz'))
    .map((name) => join(folder, name));
  const names = files.map((file) => readTarball(file).name).sort();
  const expected = publishedPackages().map(({ manifest }) => manifest.name.replace(SCOPE, scope));
  if (names.join() !== expected.join())
    throw new Error(
      `${folder} holds ${names.join(', ') || 'no tarball'}; a release is of ${expected.join(', ')}. ` +
        `Write them to an empty folder with \`npm run pack -- FOLDER --scope ${scope}\``,
    );
  return files;
}

/** Returns the registry of npm's configuration: that of the scope, if it has one. */
function configured() {
  const lines = quiet('npm', ['config', 'get', `${scope}:registry`, 'registry'])
    .trim()
    .split('\n');
  const [own, common] = lines.map((line) => line.slice(line.indexOf('=') + 1));
  return own === 'undefined' ? common : own;
}
