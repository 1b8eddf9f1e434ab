/** Every picture shows measurements that its files hold, and its table has one figure a cell. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from '../../../scripts/lib.mjs';
import { pictures } from '../src/pictures/index.ts';

const all = pictures();

test.each(all)('$id has its machine, its date, its files and figures', (picture) => {
  expect(picture.machine).toMatch(/\w/);
  expect(picture.date).toMatch(/^\d{4}-\d\d-\d\d$/);
  for (const file of picture.files) expect(existsSync(join(root, 'docs/performance/results', file))).toBe(true);
  expect(picture.series.flatMap(({ points }) => points).length).toBeGreaterThan(3);
  for (const { name, points } of picture.series) {
    expect(points.length, name).toBeGreaterThan(0);
    for (const { x, y } of points) {
      expect(y, `${name}, ${x}`).toBeGreaterThan(0);
      expect(typeof x).toBe(picture.kind === 'bars' ? 'string' : 'number');
    }
    expect(new Set(points.map(({ x }) => x)).size, name).toBe(points.length);
  }
});

test('each picture is on one page', () => {
  const folder = join(root, 'apps/docs/pages/measured');
  const text = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
  const shown = [...text.join('\n').matchAll(/<MeasuredPicture id="([^"]+)" \/>/g)].map(([, id]) => id);
  expect(shown.toSorted()).toEqual(all.map(({ id }) => id).toSorted());
});
