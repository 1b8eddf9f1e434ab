import { fileURLToPath } from 'node:url';
import { defineProject } from 'vitest/config';

export default defineProject({
  resolve: { alias: { '#hub-places': source('hub/node-places.ts'), '#bounds': source('bounds/node.ts') } },
  test: {
    name: '@mamba/lm',
    // Long enough for a busy machine: it catches what hangs, and measures nothing.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // What the files import is loaded once a worker, not once a file: they put back what they change.
    isolate: false,
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
  },
});

function source(path: string): string {
  return fileURLToPath(new URL(`src/${path}`, import.meta.url));
}
