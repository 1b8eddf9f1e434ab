/** What comes with the published packages may be used as they may. */
import { expect, test } from 'vitest';
import { ALLOWED, EXCEPTIONS, foreignPackages } from './licences.mjs';
import { publishedPackages } from './packages.mjs';

const found = foreignPackages();

test('every package of others is found, and what those need', () => {
  const names = found.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(['@huggingface/tokenizers', 'hono', 'cli-table3', 'string-width']));
});

const allowed = ({ licence }) =>
  licence
    .replace(/[()]/g, '')
    .split(' OR ')
    .some((choice) => ALLOWED.includes(choice));

test('every licence is allowed, but for the exceptions', () => {
  const others = found.filter((each) => !allowed(each));
  expect(others.map(({ name }) => name)).toEqual(Object.keys(EXCEPTIONS));
});

test('our own packages say Apache-2.0', () => {
  for (const { manifest } of publishedPackages()) expect(manifest.license, manifest.name).toBe('Apache-2.0');
});
