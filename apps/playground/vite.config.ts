import { createReadStream, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';

const MODEL = new URL('../../packages/conformance/fixtures/kjv-mamba/', import.meta.url);
const ADDRESS = 'models/kjv-mamba/';
const PAGES = ['index.html', 'train.html', 'showcase.html'].map((page) =>
  fileURLToPath(new URL(page, import.meta.url)),
);
const FILES = ['config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];

/** A page with these headers may share memory between threads. */
const ISOLATED = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

/**
 * Ships the conformance suite's trained model with the page: copied into the build, and served as it is in development.
 */
function shippedModel(): Plugin {
  return {
    name: 'shipped-model',
    generateBundle() {
      for (const file of FILES)
        this.emitFile({ type: 'asset', fileName: ADDRESS + file, source: readFileSync(new URL(file, MODEL)) });
    },
    configureServer({ middlewares }) {
      middlewares.use((request, response, next) => {
        const file = FILES.find((name) => request.url === `/${ADDRESS}${name}`);
        if (file === undefined) next();
        else createReadStream(new URL(file, MODEL)).pipe(response);
      });
    },
  };
}

/** Has every page say what to do where it is opened as a file, from which no module starts. */
function openedAsFile(): Plugin {
  return {
    name: 'opened-as-file',
    transformIndexHtml(page) {
      const notice = readFileSync(new URL('src/opened-as-file.html', import.meta.url), 'utf8');
      return page.replace('  </body>', () => `${notice}  </body>`);
    },
  };
}

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  // The page runs from any folder of any host.
  base: './',
  // A missing file is answered by 404, not by the page.
  appType: 'mpa',
  plugins: [shippedModel(), openedAsFile()],
  server: { headers: ISOLATED },
  preview: { headers: ISOLATED },
  build: { target: 'es2023', rolldownOptions: { input: PAGES } },
  worker: { format: 'es' },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
});
