import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: '@mamba/checkpoint',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
  },
});
