// npm run pack -- FOLDER [--scope @name]: builds, and writes a tarball of every package to a folder.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve, sep } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bootstrap } from '../bootstrap.mjs';
import { binFolder, quiet, root, turbo } from '../lib.mjs';
import { checkScope, publishedPackages, publishing, SCOPE } from './packages.mjs';
import { addressOf, registryReadme, registrySource } from './registry-texts.mjs';

/** Installs and builds the packages, and ends this process where that fails. */
export function buildPackages() {
  bootstrap();
  console.log('building …');
  const status = turbo(['build', ...publishedPackages().map(({ manifest }) => `--filter=${manifest.name}`)]);
  if (status !== 0) process.exit(status);
}

/**
 * Packs all built packages at once, since most of the time goes into starting pnpm and npm. pnpm collects the files,
 * since it knows the workspace's versions; then the scope is written into them.
 * @returns path of the tarball by the package's short name
 */
export function packPackages(folder, scope) {
  checkScope(scope);
  mkdirSync(folder, { recursive: true });
  const stage = mkdtempSync(join(tmpdir(), 'mamba-pack-'));
  try {
    const packages = publishedPackages();
    const filters = packages.map(({ manifest }) => `--filter=${manifest.name}`);
    quiet(join(binFolder, 'pnpm'), ['--recursive', ...filters, 'pack', '--pack-destination', stage]);
    for (const { short, manifest } of packages) {
      const own = join(stage, short);
      mkdirSync(own);
      quiet('tar', ['-xzf', join('..', tarballOf(manifest)), '--strip-components=1'], { cwd: own });
      finish(own, short, scope);
    }
    const folders = packages.map(({ short }) => `.${sep}${short}`);
    const options = ['--json', '--ignore-scripts', '--pack-destination', resolve(folder)];
    quiet('npm', ['pack', ...options, ...folders], { cwd: stage });
    return Object.fromEntries(
      packages.map(({ short, manifest }) => {
        const name = manifest.name.replace(SCOPE, scope);
        return [short, join(folder, tarballOf({ ...manifest, name }))];
      }),
    );
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

/** Returns the name that npm and pnpm give to a tarball. */
const tarballOf = ({ name, version }) => `${name.slice(1).replace('/', '-')}-${version}.tgz`;

/** Rewrites the manifest and texts for those who install it, and the scope in every text. */
function finish(folder, short, scope) {
  const file = join(folder, 'package.json');
  const { scripts: _, devDependencies: __, ...manifest } = JSON.parse(readFileSync(file, 'utf8'));
  const { repository } = publishing();
  if (repository !== undefined)
    Object.assign(manifest, {
      repository: { type: 'git', url: repository, directory: `packages/${short}` },
      homepage: `${addressOf(`packages/${short}`, repository)}#readme`,
    });
  writeFileSync(file, `${JSON.stringify(manifest, null, 2)}\n`);
  if (repository !== undefined) {
    // Only what may be published is read on a registry; other tarballs come from a clone.
    rewrite(folder, ['README.md'], (text) => registryReadme(text, { short, scope, repository }));
    rewrite(folder, textsIn(folder), (text) => registrySource(text, repository));
  }
  if (scope !== SCOPE) rewrite(folder, textsIn(folder), (text) => text.replaceAll(`${SCOPE}/`, `${scope}/`));
}

const TEXTS = /\.([cm]?[jt]s|json|md|map|html)$/;

function textsIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && TEXTS.test(entry.name))
    .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)));
}

function rewrite(folder, files, change) {
  for (const file of files.map((name) => join(folder, name))) {
    const text = readFileSync(file, 'utf8');
    const changed = change(text);
    if (changed !== text) writeFileSync(file, changed);
  }
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { scope: { type: 'string', default: publishing().scope } },
  });
  if (positionals.length !== 1) {
    console.error('usage: npm run pack -- FOLDER [--scope @name]');
    process.exit(2);
  }
  checkScope(values.scope);
  buildPackages();
  const folder = resolve(process.env.INIT_CWD ?? root, positionals[0]);
  for (const file of Object.values(packPackages(folder, values.scope))) console.log(file);
}
