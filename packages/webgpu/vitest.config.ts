import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: '@mamba/webgpu',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
  },
});
