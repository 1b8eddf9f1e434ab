import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: '@mamba/cpu',
    // The limit is long enough for a busy machine. It only catches tests that hang.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // What the files import is loaded once a worker, not once a file.
    isolate: false,
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
  },
});
