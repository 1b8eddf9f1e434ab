import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { fillTables } from '../report/tables/made.ts';
import { tablesCommand } from './tables.ts';

const DOCUMENTS = fileURLToPath(new URL('../../../../docs/performance', import.meta.url));

function tables(folder: string, check: boolean) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const status = tablesCommand(folder, { check }, { stdout, stderr, environment: {} });
  return { status, text: String(stdout.read() ?? '') };
}

it('finds the documents of this repository as their results make them', () => {
  expect(tables(DOCUMENTS, true)).toEqual({ status: 0, text: '' });
});

it('tells of a figure that was changed by hand, and makes it anew', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mamba-tables-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  cpSync(DOCUMENTS, folder, { recursive: true });
  const file = join(folder, 'h100.md');
  const text = readFileSync(file, 'utf8');
  expect(text).toContain('| 1 × 1536 × 2048 | 68 |');
  writeFileSync(file, text.replace('| 1 × 1536 × 2048 | 68 |', '| 1 × 1536 × 2048 | 48 |'));
  const { status, text: told } = tables(folder, true);
  expect(status).toBe(1);
  expect(told).toContain('h100.md is not as its results make it');
  expect(tables(folder, false).status).toBe(0);
  expect(readFileSync(file, 'utf8')).toBe(text);
});

it('refuses a place for a table that is not made', () => {
  const document = '<!-- made: other -->\n<!-- made, to here -->\n';
  expect(() => fillTables(document, 'a.md', { known: () => ({ head: [''], rows: [] }) })).toThrow(
    'a.md has a place for a table that is not made: got other, expected one of known',
  );
});
