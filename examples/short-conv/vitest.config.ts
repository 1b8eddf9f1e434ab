import { useSwiftShader } from '@mamba/software-gpu';
import { defineProject } from 'vitest/config';

// This comes before vitest forks, since the forks inherit LD_LIBRARY_PATH, which is read as a process starts.
useSwiftShader();

export default defineProject({
  test: {
    name: 'short-conv-example',
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
