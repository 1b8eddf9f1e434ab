// node scripts/environments/main.mjs [FILTER…]: checks the packed packages in every host, bundler and compiler that npm
// has, on Linux on x86-64. Each environment is installed in a folder of its own. It is no part of `npm test`, since it
// takes half an hour and the registry.
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { root } from '../lib.mjs';
import { buildPackages, packPackages } from '../publish/pack.mjs';
import { bundlers } from './bundlers.mjs';
import { compilers } from './compilers.mjs';
import { hosts } from './hosts.mjs';
import { createProject } from './project.mjs';

const filters = process.argv.slice(2).map((filter) => filter.toLowerCase());
const selected = [...hosts, ...bundlers, ...compilers].filter(
  ({ name }) => filters.length === 0 || filters.some((filter) => name.toLowerCase().includes(filter)),
);
buildPackages();
const folder = join(tmpdir(), 'mamba-environments');
mkdirSync(folder, { recursive: true });
const tarballs = packPackages(join(folder, 'tarballs'), '@mamba');
const checkpoint = join(root, 'packages/conformance/fixtures/kjv-mamba');

let failed = 0;
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
  if (!passed) failed++;
  const text = (outcome.failure ?? outcome.description).replace(/\s+/g, ' ').slice(0, 600);
  console.log(`| ${environment.name} | ${passed ? '✓' : '✗'} ${text} | ${outcome.threads ?? '–'} |`);
}
console.log(`\n${selected.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
