import { useSwiftShader } from '@mamba/software-gpu';
import { defineProject } from 'vitest/config';

// Before vitest forks: the forks inherit LD_LIBRARY_PATH, which is read as a process starts.
useSwiftShader();

export default defineProject({
  test: {
    name: '@mamba/webgpu',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    pool: 'forks',
    setupFiles: ['test/sleep-between-polls.ts'],
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
