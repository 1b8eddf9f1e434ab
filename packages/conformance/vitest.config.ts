import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: '@mamba/conformance',
    // How fast a machine is is no test.
    testTimeout: 0,
    hookTimeout: 0,
    // What the files import is loaded once a worker, not once a file: they put back what they change.
    isolate: false,
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
  },
});
