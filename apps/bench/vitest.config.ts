import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: '@mamba/bench',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
  },
});
