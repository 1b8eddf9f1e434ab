import { defineConfig } from 'vite';

// Threads need a page that is isolated from other origins.
const headers = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

export default defineConfig({
  root: 'web',
  base: './',
  build: {
    outDir: '../dist/web',
    emptyOutDir: true,
    target: 'esnext',
    // The page, and the one in which a run in Node has a contender.
    rolldownOptions: { input: ['web/index.html', 'web/seat.html'] },
  },
  worker: { format: 'es' },
  server: { headers },
  preview: { headers },
});
