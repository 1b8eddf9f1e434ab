import { fileURLToPath } from 'node:url';
import { defineProject } from 'vitest/config';

export default defineProject({
  resolve: { alias: { '#hub-places': fileURLToPath(new URL('src/hub/node-places.ts', import.meta.url)) } },
  test: {
    name: '@mamba/lm',
    // Long enough for a busy machine: it catches what hangs, and measures nothing.
    testTimeout: 300_000,
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
  },
});
