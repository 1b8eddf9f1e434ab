import { useSwiftShader } from '@mamba/software-gpu';
import { defineProject } from 'vitest/config';

// This comes before vitest forks: the forks and the runners' processes inherit LD_LIBRARY_PATH, which is read as a
// process starts.
useSwiftShader();

export default defineProject({
  test: {
    name: '@mamba/bench',
    // A busy machine measures slowly.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // Tests do not rely on measured times, so each measurement takes only some milliseconds, here and in the processes
    // that tests start.
    env: { MAMBA_BENCH_SMALL: '1' },
    // Modules are loaded once for each worker, not once for each file, since the files restore whatever they change.
    isolate: false,
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
  },
});
