import { fileURLToPath } from 'node:url';
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
    // The page, and the one in which a run in Node has a candidate; whole paths, as others would be relative to where vite was started.
    rolldownOptions: {
      input: ['index.html', 'runner.html'].map((name) => fileURLToPath(new URL(`web/${name}`, import.meta.url))),
    },
  },
  worker: { format: 'es' },
  server: { headers },
  preview: { headers },
});
