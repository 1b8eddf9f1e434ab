// The project that `npm run sample` makes, and the guide that shows its files.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { root } from '../lib.mjs';

const folder = join(root, 'scripts/publish/sample');
const guide = readFileSync(join(root, 'apps/docs/pages/start/web.md'), 'utf8');

test.each(['example.mjs', 'page.js', 'worker.js'])('the guide shows %s as it is', (name) => {
  expect(guide).toContain(`\n${readFileSync(join(folder, name), 'utf8')}\`\`\`\n`);
});

test('every script of the project imports what the packages export', async () => {
  const entryPoints = readdirSync(folder)
    .filter((name) => /\.m?js$/.test(name))
    .map((name) => join(folder, name));
  const options = { bundle: true, write: false, outdir: 'out', format: 'esm', platform: 'node', logLevel: 'silent' };
  const { errors, warnings } = await build({ ...options, entryPoints, external: ['webgpu'] });
  expect([...errors, ...warnings].map(({ text }) => text)).toEqual([]);
});
