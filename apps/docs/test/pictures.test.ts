/** Every picture shows measurements that its files hold, and its table has one figure a cell. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from '../../../scripts/lib.mjs';
import { pictures } from '../src/pictures.ts';

const all = pictures();

test.each(all)('$id has its machine, its date, its files and figures', (picture) => {
  expect(picture.machine).toMatch(/\w/);
  expect(picture.date).toMatch(/^\d{4}-\d\d-\d\d$/);
  for (const file of picture.files) expect(existsSync(join(root, 'docs/performance/results', file))).toBe(true);
  for (const { name, points } of picture.series) {
    expect(points.length, name).toBeGreaterThan(1);
    for (const { x, y } of points) {
      expect(y, `${name}, ${x}`).toBeGreaterThan(0);
      expect(typeof x).toBe(picture.kind === 'bars' ? 'string' : 'number');
    }
    expect(new Set(points.map(({ x }) => x)).size, name).toBe(points.length);
  }
});

test('each picture is on one page', async () => {
  expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
});
