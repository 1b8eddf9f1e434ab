/**
 * The reference has no gaps: what the packages export has a comment. typedoc, which makes the pages, follows types
 * further than this does, so it is asked as well.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { root } from '../../../scripts/lib.mjs';
import { entries } from '../scripts/entries.mjs';
import { Modules, undocumented } from './exports.ts';

const modules = new Modules();

test.each(entries)('$name', ({ source }) => {
  const found = modules.exportsOf(join(root, source));
  expect(found.length).toBeGreaterThan(0);
  expect(found.filter(({ declarations }) => declarations.length === 0)).toEqual([]);
  expect(found.flatMap(undocumented)).toEqual([]);
});

test('typedoc makes pages of all of it without a warning', { timeout: 300_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mamba-reference-'));
  try {
    const made = await promisify(execFile)(process.execPath, ['scripts/reference.mjs', folder], {
      cwd: join(root, 'apps/docs'),
    }).catch(({ stdout, stderr }) => ({ stdout: `failed: ${stdout}`, stderr }));
    expect(`${made.stdout}${made.stderr}`).not.toMatch(/warning|failed/i);
    expect(readdirSync(folder, { recursive: true })).toContain(join('@mamba', 'core.md'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('what has no comment is found', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mamba-exports-'));
  try {
    writeFileSync(join(folder, 'index.ts'), "export { a as b, C } from './a.ts';\nexport * from './d.ts';\n");
    writeFileSync(
      join(folder, 'a.ts'),
      '/** It is documented. */\nexport const a = 1;\n/** So is it. */\nexport class C {\n  get d() { return 1; }\n}\n',
    );
    writeFileSync(
      join(folder, 'd.ts'),
      'export interface D {\n  /** It is documented. */\n  e(): void;\n  f(): void;\n}\n',
    );
    const found = new Modules().exportsOf(join(folder, 'index.ts'));
    expect(found.map(({ name }) => name)).toEqual(['b', 'C', 'D']);
    expect(found.flatMap(undocumented)).toEqual(['C.d', 'D', 'D.f']);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
