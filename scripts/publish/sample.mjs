// npm run sample -- FOLDER [--scope @name]: makes tarballs of every package, and a project that installs them and
// generates text with two threads in Node, and in a worker of a page.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { parse } from 'yaml';
import { quiet, root } from '../lib.mjs';
import { buildPackages, packPackages } from './pack.mjs';
import { checkScope, publishing, SCOPE } from './packages.mjs';

const { catalog } = parse(readFileSync(join(root, 'pnpm-workspace.yaml'), 'utf8'));
const TEMPLATE = fileURLToPath(new URL('sample/', import.meta.url));

/** Writes a project to `folder` that takes every package from the tarballs beside it. */
export function writeSample(folder, scope) {
  const tarballs = packPackages(join(folder, 'tarballs'), scope);
  for (const name of readdirSync(TEMPLATE))
    writeFileSync(join(folder, name), readFileSync(join(TEMPLATE, name), 'utf8').replaceAll(`${SCOPE}/`, `${scope}/`));
  cpSync(join(root, 'packages/conformance/fixtures/kjv-mamba'), join(folder, 'kjv-mamba'), { recursive: true });
  const dependencies = Object.fromEntries(
    Object.entries(tarballs).map(([short, file]) => [`${scope}/${short}`, `file:tarballs/${basename(file)}`]),
  );
  // Dependencies that `mamba-lm` and the server need, and the library does not.
  Object.assign(
    dependencies,
    JSON.parse(quiet('tar', ['-xzOf', tarballs.lm, 'package/package.json'])).peerDependencies,
  );
  const scripts = { start: 'node example.mjs', page: 'vite' };
  const devDependencies = { vite: catalog.vite };
  const manifest = { name: 'mamba-sample', private: true, type: 'module', scripts, dependencies, devDependencies };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { scope: { type: 'string', default: publishing().scope } },
  });
  const folder = resolve(process.env.INIT_CWD ?? root, positionals[0] ?? '');
  if (positionals.length !== 1 || (existsSync(folder) && readdirSync(folder).length > 0)) {
    console.error('usage: npm run sample -- FOLDER [--scope @name]; the folder must be new or empty');
    process.exit(2);
  }
  checkScope(values.scope);
  buildPackages();
  mkdirSync(folder, { recursive: true });
  writeSample(folder, values.scope);
  console.log(`A project with every package, from tarballs:
  cd ${folder}
  npm install
  npm start       # a text by the model that is in it, in Node
  npm run page    # the same in a page, in a worker`);
}
