// npm run environments [-- --tarballs FOLDER] [--json FILE] [FILTER…]: checks the packed packages in every host, every
// bundler and every compiler that npm has, on Linux on x86-64. Each is installed in a folder of its own. It takes half
// an hour and the registry, so it is no part of `npm test`. The support matrix is made of the JSON that it writes.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { arch, cpus, release, tmpdir, type } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { bootstrap } from '../bootstrap.mjs';
import { root, turbo } from '../lib.mjs';
import { buildPackages, packPackages } from '../publish/pack.mjs';
import { publishedPackages } from '../publish/packages.mjs';
import { createProject } from './project.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { tarballs: { type: 'string' }, json: { type: 'string' } },
});
const given = (path) => resolve(process.env.INIT_CWD ?? root, path);
const folder = join(tmpdir(), 'mamba-environments');
mkdirSync(folder, { recursive: true });
const tarballs = values.tarballs === undefined ? pack() : packed(given(values.tarballs));

// They use what has been built by now.
const [{ bundlers }, { compilers }, { hosts }] = await Promise.all(
  ['./bundlers.mjs', './compilers.mjs', './hosts.mjs'].map((file) => import(file)),
);
const filters = positionals.map((filter) => filter.toLowerCase());
const selected = Object.entries({ host: hosts, bundler: bundlers, compiler: compilers })
  .flatMap(([kind, environments]) => environments.map((environment) => ({ kind, ...environment })))
  .filter(({ name }) => filters.length === 0 || filters.some((filter) => name.toLowerCase().includes(filter)));
const checkpoint = join(root, 'packages/conformance/fixtures/kjv-mamba');

const rows = [];
console.log('| environment | outcome | threads |\n| --- | --- | --- |');
for (const environment of selected) {
  const threads = 'threads' in environment ? environment.threads : 3;
  let outcome;
  try {
    const project = createProject(join(folder, environment.name.replace(/\W+/g, '-')), tarballs, environment);
    await project.install();
    outcome = await environment.run(project, checkpoint);
  } catch (error) {
    outcome = { failure: error.message };
  }
  const passed = outcome.failure === undefined && outcome.threads === threads && outcome.sum === 64;
  const said = (outcome.failure ?? outcome.description).replace(/\s+/g, ' ').slice(0, 600);
  const { kind, name } = environment;
  const date = new Date().toISOString().slice(0, 10);
  rows.push({ kind, environment: name, passed, backend: outcome.backend, features: outcome.features, said, date });
  console.log(`| ${name} | ${passed ? '✓' : '✗'} ${said} | ${outcome.threads ?? '–'} |`);
}
const failed = rows.filter(({ passed }) => !passed).length;
console.log(`\n${rows.length - failed} passed, ${failed} failed`);
if (values.json !== undefined) write(given(values.json));
process.exitCode = failed === 0 && rows.length > 0 ? 0 : 1;

/** Writes the rows, and leaves those of environments that were not selected as they are. */
function write(file) {
  const earlier = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).rows : [];
  const kept = earlier.filter(({ environment }) => rows.every((row) => row.environment !== environment));
  const machine = { cpu: cpus()[0].model, os: `${type()} ${release()}`, arch: arch() };
  const report = { kind: 'mamba-environments', machine, rows: [...kept, ...rows] };
  writeFileSync(file, `${JSON.stringify(report, null, 1)}\n`);
}

function pack() {
  buildPackages();
  return packPackages(join(folder, 'tarballs'), '@mamba');
}

/** The tarballs of a folder, by short name. The checks themselves need the browser in software, which is built. */
function packed(from) {
  bootstrap();
  const status = turbo(['build', '--filter=@mamba/software-gpu']);
  if (status !== 0) process.exit(status);
  return Object.fromEntries(
    publishedPackages().map(({ short, manifest }) => [short, join(from, `mamba-${short}-${manifest.version}.tgz`)]),
  );
}
