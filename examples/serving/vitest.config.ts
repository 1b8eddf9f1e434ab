import { defineConfig } from 'vitest/config';

export default defineConfig({
  // Long enough for a busy machine: it catches what hangs, and measures nothing.
  test: { name: 'serving-example', include: ['*.test.ts'], testTimeout: 300_000, hookTimeout: 300_000 },
});
