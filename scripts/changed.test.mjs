import { describe, expect, test } from 'vitest';
import { expandChanged, selectTests } from './changed.mjs';

const packages = [
  { folder: 'packages/core', name: '@mamba/core', needs: [] },
  { folder: 'packages/cpu', name: '@mamba/cpu', needs: ['@mamba/core'] },
  { folder: 'packages/lm', name: '@mamba/lm', needs: ['@mamba/cpu', 'hono'] },
  { folder: 'packages/other', name: '@mamba/other', needs: ['hono'] },
];

describe('what a change touches', () => {
  test.each([
    { files: ['packages/core/src/index.ts'], selected: ['packages/core/', 'packages/cpu/', 'packages/lm/'] },
    { files: ['packages/lm/src/index.ts', 'packages/lm/test/a.test.ts'], selected: ['packages/lm/'] },
    { files: ['packages/other/package.json'], selected: ['packages/other/'] },
    { files: ['scripts/changed.test.mjs'], selected: 'all' },
    { files: ['README.md', 'packages/core/README.md'], selected: [] },
    { files: ['packages/core/test/removed.test.ts'], selected: [] },
  ])('$files', ({ files, selected }) => expect(selectTests(files, packages)).toEqual(selected));

  test('a test that changed runs alone', () => {
    const file = 'packages/cpu/test/threads.test.ts';
    expect(selectTests([file], packages)).toEqual([file]);
  });

  test('other arguments are left as they are', () => {
    expect(expandChanged(['--project', '@mamba/core'])).toEqual(['--project', '@mamba/core']);
  });
});
