/** Links of the repository's Markdown lead to the pages of the site, or stay words where there is no page. */
import { expect, test } from 'vitest';
import { documents, pageOf, relink, sectionOf } from '../scripts/documents.mjs';

const shown = new Set(['docs/a.md', 'packages/cpu/README.md']);

test('a README is the page of its folder, and a page of the site lies at its top', () => {
  expect(pageOf('packages/cpu/README.md')).toBe('packages/cpu/index.md');
  expect(pageOf('apps/docs/pages/start/web.md')).toBe('start/web.md');
  expect(documents()).toContain('docs/errors.md');
});

test('links follow the pages', () => {
  const text = '[a](../../docs/a.md#b) [cpu](../cpu) [root](../../README.md) [there](https://example.org/x.md)';
  expect(relink(text, 'packages/lm/README.md', shown, undefined)).toBe(
    '[a](../../docs/a.md#b) [cpu](../cpu/index.md) [root](../../index.md) [there](https://example.org/x.md)',
  );
});

test('what has no page is named, or linked in the repository where that has an address', () => {
  const text = '[source](../src/x.ts) [`src/x.ts`](../src/x.ts)\n```js\n[a](b)\n```\n';
  expect(relink(text, 'docs/a.md', shown, undefined)).toBe('source (`src/x.ts`) `src/x.ts`\n```js\n[a](b)\n```\n');
  expect(relink('[source](../src/x.ts)', 'docs/a.md', shown, 'https://example.org/r')).toBe(
    '[source](https://example.org/r/blob/HEAD/src/x.ts)',
  );
});

test('a section ends at the next heading of its level', () => {
  expect(sectionOf('# A\n## B\none\n### C\ntwo\n## D\nthree', 'B')).toBe('one\n### C\ntwo');
  expect(() => sectionOf('# A', 'B')).toThrow('no heading "B"');
});
