import { useSwiftShader } from '@mamba/software-gpu';
import { defineProject } from 'vitest/config';

// Before vitest forks: the forks inherit LD_LIBRARY_PATH, which is read as a process starts.
useSwiftShader();

export default defineProject({
  test: {
    name: '@mamba/webgpu',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    pool: 'forks',
    // What the files import is loaded once a worker, Dawn among it, not once a file: they put back what they change.
    isolate: false,
    setupFiles: ['test/setup.ts'],
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
