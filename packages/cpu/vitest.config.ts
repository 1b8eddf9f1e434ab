import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: '@mamba/cpu',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
  },
});
