import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: '@mamba/bench',
    // Measuring takes as long as the machine lets it.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
  },
});
