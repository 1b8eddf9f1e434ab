import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

// The conformance suite's checkpoints are served at /, among them the trained one, /kjv-mamba/.
export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  appType: 'mpa',
  publicDir: fileURLToPath(new URL('../../../conformance/fixtures', import.meta.url)),
});
