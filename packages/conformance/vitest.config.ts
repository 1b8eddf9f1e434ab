import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: '@mamba/conformance',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
  },
});
