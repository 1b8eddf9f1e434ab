/**
 * Reads the built declarations as another project does: with TypeScript from the oldest supported version on, without
 * skipLibCheck and without types of a host. A name that is not found is a type of a host that packages/core/src/host.ts
 * does not have yet.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { root } from '../lib.mjs';

const consumers = fileURLToPath(new URL('consumers/', import.meta.url));
const folder = mkdtempSync(join(consumers, 'project-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const OLDEST = 'typescript-floor';
const BEFORE = 'typescript-api';
const NEWEST = 'typescript';

test.each([
  { compiler: OLDEST, file: 'plain.ts', lib: ['ES2022'], types: [] },
  { compiler: OLDEST, file: 'hosted.ts', lib: ['ES2022', 'DOM'], types: [] },
  { compiler: BEFORE, file: 'plain.ts', lib: ['ES2022'], types: [] },
  { compiler: NEWEST, file: 'plain.ts', lib: ['ES2022'], types: [] },
  { compiler: NEWEST, file: 'hosted.ts', lib: ['ES2022'], types: ['node'] },
  { compiler: NEWEST, file: 'hosted.ts', lib: ['ES2022', 'DOM'], types: [] },
  { compiler: NEWEST, file: 'browser.ts', lib: ['ES2023', 'DOM'], types: [] },
])('$compiler reads $file with $lib and types $types', { timeout: 0 }, async ({ compiler, file, lib, types }) => {
  const project = join(folder, `${[compiler, file, ...lib, ...types].join('-')}.json`);
  const compilerOptions = { target: 'ES2022', lib, types, module: 'NodeNext', strict: true, noEmit: true };
  writeFileSync(project, JSON.stringify({ compilerOptions, files: [join(consumers, file)] }));
  const tsc = join(root, 'node_modules', compiler, 'bin', 'tsc');
  const { stdout } = await promisify(execFile)(process.execPath, [tsc, '-p', project]).catch((error) => error);
  expect(stdout).toBe('');
});
