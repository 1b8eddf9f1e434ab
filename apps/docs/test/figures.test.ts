/** The figures that are quoted are those of the files of results. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from '../../../scripts/lib.mjs';
import { facts, speeds } from '../src/figures.ts';

const files = [...facts().flatMap(({ files }) => files), ...speeds().map(({ file }) => file)];

test('the README quotes each fact with its machine and its files', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  for (const { what, figure, machine, files } of facts())
    expect(readme).toContain(
      `| ${what} | **${figure}** | ${machine}: ${files.map((file) => `\`${file}\``).join(', ')} |`,
    );
});

test.each([...new Set(files)])('%s is a file of results', (file) => {
  expect(existsSync(join(root, 'docs/performance/results', file))).toBe(true);
});

test('every speed is a number of its own', () => {
  expect(speeds().length).toBeGreaterThan(15);
  for (const { tokensPerSecond } of speeds()) expect(tokensPerSecond).toBeGreaterThan(1);
  expect(new Set(speeds().map(({ tokensPerSecond }) => tokensPerSecond)).size).toBe(speeds().length);
});
