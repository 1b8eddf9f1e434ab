// npm run clean: removes the outputs of builds (with --all, node_modules as well).
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { root } from './lib.mjs';

const all = process.argv.includes('--all');
const made = ['dist', '.turbo', 'coverage', 'src/generated', ...(all ? ['node_modules'] : [])];
const folders = [root];
for (const group of ['packages', 'apps', 'tools', 'examples']) {
  if (!existsSync(join(root, group))) continue;
  for (const name of readdirSync(join(root, group))) folders.push(join(root, group, name));
}
for (const folder of folders) {
  for (const name of made) rmSync(join(folder, name), { recursive: true, force: true });
}
