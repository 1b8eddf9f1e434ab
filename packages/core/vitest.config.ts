import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: '@mamba/core',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
  },
});
