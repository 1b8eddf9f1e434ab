import { useSwiftShader } from '@mamba/software-gpu';
import { defineProject } from 'vitest/config';

// This comes before vitest forks, since the forks inherit LD_LIBRARY_PATH, which is read as a process starts.
useSwiftShader();

export default defineProject({
  test: {
    name: '@mamba/mixers',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    pool: 'forks',
    // What the files import is loaded once a worker, not once a file.
    isolate: false,
    // Long enough for a busy machine: it catches what hangs, and measures nothing.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
