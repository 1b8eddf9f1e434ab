import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: '@mamba/reference',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
  },
});
