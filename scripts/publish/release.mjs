// npm run release -- [--scope @name] [--dry-run]: builds, packs and publishes every package under the scope of
// package.json's `publishing`.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { run } from '../lib.mjs';
import { buildPackages, packPackages } from './pack.mjs';
import { checkScope, publishing, SCOPE } from './packages.mjs';

const { values } = parseArgs({
  options: { scope: { type: 'string', default: publishing().scope }, 'dry-run': { type: 'boolean', default: false } },
});
const { scope, 'dry-run': dry } = values;
checkScope(scope);
const lacks = [
  ...(scope === SCOPE ? [`a scope that is ours: ${SCOPE} on npm is somebody else's`] : []),
  ...(publishing().repository === undefined ? ["the repository's address"] : []),
];
if (!dry && lacks.length > 0) {
  console.error(`package.json's "publishing" lacks ${lacks.join(', and ')}`);
  process.exit(2);
}

buildPackages();
const folder = mkdtempSync(join(tmpdir(), 'mamba-release-'));
try {
  for (const [short, file] of Object.entries(packPackages(folder, scope))) {
    console.log(`${scope}/${short}`);
    const status = run('npm', [
      'publish',
      file,
      '--access',
      'public',
      '--loglevel=error',
      ...(dry ? ['--dry-run'] : []),
    ]);
    if (status !== 0) process.exit(status);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
