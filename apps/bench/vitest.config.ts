import { useSwiftShader } from '@mamba/software-gpu';
import { defineProject } from 'vitest/config';

// Before vitest forks: the forks, and the runners' processes, inherit LD_LIBRARY_PATH, which is read as a process starts.
useSwiftShader();

export default defineProject({
  test: {
    name: '@mamba/bench',
    // Measuring takes as long as the machine lets it.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
  },
});
