import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: '@mamba/conformance',
    // How fast a machine is is no test.
    testTimeout: 0,
    hookTimeout: 0,
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
  },
});
