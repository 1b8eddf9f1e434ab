// npm run pack -- FOLDER [--scope @name]: builds, and writes a tarball of every package to a folder.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bootstrap } from '../bootstrap.mjs';
import { binFolder, quiet, root, turbo } from '../lib.mjs';
import { checkScope, publishedPackages, publishing, SCOPE } from './packages.mjs';

/** Installs and builds what is packed; ends this process where that fails. */
export function buildPackages() {
  bootstrap();
  console.log('building …');
  const status = turbo(['build', ...publishedPackages().map(({ manifest }) => `--filter=${manifest.name}`)]);
  if (status !== 0) process.exit(status);
}

/**
 * Packs what is built. The files come from pnpm, which knows the workspace's versions; then the scope is written into
 * them.
 * @returns path of the tarball by the package's short name
 */
export function packPackages(folder, scope) {
  checkScope(scope);
  mkdirSync(folder, { recursive: true });
  const stage = mkdtempSync(join(tmpdir(), 'mamba-pack-'));
  try {
    return Object.fromEntries(
      publishedPackages().map(({ short, folder: source }) => {
        const own = join(stage, short);
        mkdirSync(own);
        quiet(join(binFolder, 'pnpm'), ['pack', '--pack-destination', own], { cwd: source });
        quiet('tar', ['-xzf', readdirSync(own)[0], '-C', '.'], { cwd: own });
        const unpacked = join(own, 'package');
        finish(unpacked, short, scope);
        const [{ filename }] = JSON.parse(quiet('npm', ['pack', '--json', '--ignore-scripts'], { cwd: unpacked }));
        const file = join(folder, filename.replace('/', '-').replace('@', ''));
        cpSync(join(unpacked, filename), file);
        return [short, file];
      }),
    );
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

/** A manifest for those who install it, and the scope in every text. */
function finish(folder, short, scope) {
  const file = join(folder, 'package.json');
  const { scripts: _, devDependencies: __, ...manifest } = JSON.parse(readFileSync(file, 'utf8'));
  const { repository } = publishing();
  if (repository !== undefined)
    Object.assign(manifest, {
      repository: { type: 'git', url: repository, directory: `packages/${short}` },
      homepage: `${repository.replace(/^git\+|\.git$/g, '')}/tree/main/packages/${short}#readme`,
    });
  writeFileSync(file, `${JSON.stringify(manifest, null, 2)}\n`);
  if (scope !== SCOPE) rescope(folder, scope);
}

const TEXTS = /\.([cm]?[jt]s|json|md|map|html)$/;

function rescope(folder, scope) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !TEXTS.test(entry.name)) continue;
    const file = join(entry.parentPath ?? entry.path, entry.name);
    const text = readFileSync(file, 'utf8');
    const renamed = text.replaceAll(`${SCOPE}/`, `${scope}/`);
    if (renamed !== text) writeFileSync(file, renamed);
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
