import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { missing } from './check-built.mjs';

const folder = mkdtempSync(join(tmpdir(), 'mamba-check-built-'));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function tree(...files) {
  const manifest = { exports: { '.': { types: './dist/index.d.ts', default: './dist/index.js' } }, bin: './bin/x.js' };
  for (const name of ['package.json', ...files]) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), name === 'package.json' ? JSON.stringify(manifest) : '');
  }
  return missing(folder);
}

const BUILT = ['bin/x.js', 'src/index.ts', 'dist/index.js', 'dist/index.d.ts'];

test('a built tree lacks nothing; tests and declarations need not be built', () => {
  expect(tree(...BUILT, 'src/index.test.ts', 'src/types.d.ts')).toEqual([]);
});

test('what the manifest names and what is not built is told', () => {
  expect(tree('bin/x.js', 'src/index.ts')).toEqual([
    './dist/index.d.ts is named in package.json and does not exist',
    './dist/index.js is named in package.json and does not exist',
    'src/index.ts is not built',
  ]);
});

test('what is left of a source that is gone is told', () => {
  expect(tree(...BUILT, 'dist/old/gone.js')).toEqual(['dist/old/gone.js has no source any more']);
});
