import { fileURLToPath } from 'node:url';
import { defineProject } from 'vitest/config';

export default defineProject({
  resolve: { alias: { '#files': fileURLToPath(new URL('src/io/files-node.ts', import.meta.url)) } },
  test: {
    name: '@mamba/checkpoint',
    // Long enough for a busy machine: it catches what hangs, and measures nothing.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // What the files import is loaded once a worker, not once a file: they put back what they change.
    isolate: false,
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
  },
});
