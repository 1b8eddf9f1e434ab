/** Every code of an error has its section in docs/errors.md, and every section has its code. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MambaError } from '@mamba/core';
import { expect, test } from 'vitest';
import { filesIn, root } from '../../../scripts/lib.mjs';

const read = (file: string): string => readFileSync(join(root, file), 'utf8');

/** The members of the union `ErrorCode`, from its source: a type has no values as the program runs. */
function codes(): readonly string[] {
  const [, union = ''] =
    read('packages/core/src/contract/errors.ts').match(/export type ErrorCode =([\s\S]*?);\n/) ?? [];
  return [...union.matchAll(/\| '([a-z-]+)'/g)].map(([, code]) => code!);
}

const page = read('docs/errors.md');
const sections = [...page.matchAll(/^## `([a-z-]+)`\n([\s\S]*?)(?=^## |(?![\s\S]))/gm)].map(([, code, text]) => ({
  code: code!,
  text: text!,
}));

test('each code has one section, and no section is without a code', () => {
  expect(codes()).toContain('invalid-argument');
  expect(sections.map(({ code }) => code).sort()).toEqual([...codes()].sort());
});

test.each(sections)('$code says what it means and what to do', ({ text }) => {
  expect(text).toMatch(/\*\*What it means\.\*\* \S/);
  expect(text).toMatch(/\*\*What to do\.\*\* \S/);
});

test('an error leads to its section', () => {
  expect(new MambaError('io', 'it failed').help).toBe('docs/errors.md#io');
});

test('errors that the packages make have a code of the list', () => {
  const sources: readonly string[] = filesIn('packages').filter((file: string) =>
    /\/src\/.*(?<!\.test)\.ts$/.test(file),
  );
  const used = sources.flatMap((file) =>
    [...read(file).matchAll(/new MambaError\(\s*'([a-z-]+)'/g)].map(([, code]) => code!),
  );
  expect([...new Set(used)].filter((code) => !codes().includes(code))).toEqual([]);
  expect(used.length).toBeGreaterThan(100);
});
