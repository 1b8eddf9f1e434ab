/** What a browser downloads stays within its budget. */
import { basename } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { root } from '../lib.mjs';
import { overBudget, PAGES } from './budgets.mjs';

test.each(Object.entries(PAGES))('a page with %s', async (what, { program, bytes }) => {
  const { outputFiles } = await build({
    stdin: { contents: program, resolveDir: root },
    bundle: true,
    minify: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    outdir: 'page',
    write: false,
    // The paths of the workspace's own tsconfig files lead to sources for Node.
    tsconfigRaw: {},
  });
  const sizes = outputFiles.map(({ path, contents }) => ({ name: basename(path), size: gzipSync(contents).length }));
  expect(sizes.length).toBeGreaterThan(0);
  // A browser loads one of the two builds of the kernels.
  const builds = sizes.filter(({ name }) => /^(simd|relaxed)-/.test(name)).map(({ size }) => size);
  const always = sizes.filter(({ name }) => !/^(simd|relaxed)-/.test(name)).map(({ size }) => size);
  const downloaded = always.reduce((sum, size) => sum + size, 0) + Math.max(0, ...builds);
  expect(overBudget(`a page with ${what}`, downloaded, bytes)).toBeUndefined();
});

test('what is over its budget is told with the remedy', () => {
  expect(overBudget('core', 12, 10)).toContain('core takes 12 bytes, 2 more than its budget of 10');
  expect(overBudget('core', 12, 10)).toContain('raise the budget');
  expect(overBudget('core', 12, undefined)).toContain('has no budget');
});
