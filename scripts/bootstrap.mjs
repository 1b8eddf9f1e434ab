// Installs the workspace from npm alone: pnpm comes through npx at the pinned version.
// A stamp in node_modules (hash of the lockfile and of every manifest) lets later runs skip the installation.
//   node scripts/bootstrap.mjs            install what the lockfile says
//   node scripts/bootstrap.mjs --update   let the lockfile follow the manifests (after a dependency was added)
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { root, runOrExit } from './lib.mjs';

const stamp = join(root, 'node_modules', '.mamba-install');

function manifests() {
  const files = ['package.json', 'pnpm-workspace.yaml', 'pnpm-lock.yaml', '.npmrc'].map((name) => join(root, name));
  for (const group of ['packages', 'apps', 'tools', 'examples']) {
    if (!existsSync(join(root, group))) continue;
    for (const name of readdirSync(join(root, group)).sort()) files.push(join(root, group, name, 'package.json'));
  }
  return files.filter((file) => existsSync(file));
}

function fingerprint() {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}\0`);
  for (const file of manifests()) {
    hash
      .update(`${relative(root, file)}\0`)
      .update(readFileSync(file))
      .update('\0');
  }
  return hash.digest('hex');
}

/** Whether there is an installation, also in each package that depends on something. */
function complete() {
  const folders = manifests().filter((file) => basename(file) === 'package.json' && depends(file));
  return [join(root, 'node_modules', '.pnpm'), join(root, 'node_modules', '.bin')]
    .concat(folders.map((file) => join(dirname(file), 'node_modules')))
    .every((folder) => existsSync(folder));
}

function depends(file) {
  const { dependencies = {}, devDependencies = {} } = JSON.parse(readFileSync(file, 'utf8'));
  return Object.keys({ ...dependencies, ...devDependencies }).length > 0;
}

export function bootstrap({ update = false } = {}) {
  if (!update && complete() && existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint()) return;
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).devEngines.packageManager;
  console.log(`installing dependencies (pnpm ${version}) …`);
  const lockfile = update ? '--no-frozen-lockfile' : '--frozen-lockfile';
  runOrExit('npx', ['--yes', `pnpm@${version}`, 'install', lockfile, '--reporter=append-only', '--loglevel=warn']);
  mkdirSync(join(root, 'node_modules'), { recursive: true });
  writeFileSync(stamp, fingerprint());
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  bootstrap({ update: process.argv.includes('--update') });
}
