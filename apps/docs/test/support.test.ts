/** The support matrix has a row for every environment that is checked, and says of each what was found and how. */
import { expect, test } from 'vitest';
import { bundlers } from '../../../scripts/environments/bundlers.mjs';
import { compilers } from '../../../scripts/environments/compilers.mjs';
import { hosts } from '../../../scripts/environments/hosts.mjs';
import { support } from '../src/support.ts';

const rows = support();
/** The version of the Node that runs the checks is part of the name. */
const plain = (name: string): string => name.replace(/ \d+\.\d+\.\d+ \(this one\)$/, '');

test.each([
  ['host', hosts],
  ['bundler', bundlers],
  ['compiler', compilers],
] as const)('every %s is in the matrix, and no other than by hand', (kind, environments) => {
  const found = rows.filter((row) => row.kind === kind).map(({ environment }) => plain(environment));
  expect(found).toEqual(expect.arrayContaining(environments.map(({ name }) => plain(name))));
});

test('each environment has one row, with the day and the way of its check', () => {
  expect(new Set(rows.map(({ environment }) => environment)).size).toBe(rows.length);
  for (const { date, how } of rows) {
    expect(date).toMatch(/^\d{4}-\d\d-\d\d$/);
    expect(how).not.toBe('');
  }
});

test('what passes tells the features of its backend', () => {
  for (const row of rows.filter(({ passed, kind }) => passed && kind !== 'compiler')) {
    if (row.backend === 'webgpu') expect(row.f16, row.environment).toMatch(/^(yes|no)$/);
    else
      expect([row.backend, row.threads, row.simd], row.environment).toEqual([
        'cpu',
        expect.stringMatching(/^\d$/),
        'yes',
      ]);
  }
});
