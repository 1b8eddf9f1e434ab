import { defineConfig } from 'vitest/config';

// Failures alone are listed: the suite has some two thousand tests.
export default defineConfig({ test: { reporters: ['dot'] } });
