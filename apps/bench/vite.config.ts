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
    // The pages, and the page of a runner. The paths are absolute: relative ones would begin where vite was started.
    rolldownOptions: {
      input: ['index.html', 'versus.html', 'runner.html'].map((name) =>
        fileURLToPath(new URL(`web/${name}`, import.meta.url)),
      ),
    },
  },
  worker: { format: 'es' },
  server: { headers },
  preview: { headers },
});
