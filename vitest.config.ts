import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // A worker a core: the runner's default leaves one core to itself, which halves the speed of a machine with two.
    maxWorkers: '100%',
    projects: ['packages/*', 'apps/*', 'examples/*', { test: { name: 'scripts', include: ['scripts/**/*.test.mjs'] } }],
  },
});
