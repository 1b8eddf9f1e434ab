import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: '@mamba/lm',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
  },
});
