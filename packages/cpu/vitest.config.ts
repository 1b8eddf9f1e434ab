import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: '@mamba/cpu',
    // Long enough for a busy machine: it catches what hangs, and measures nothing.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
  },
});
