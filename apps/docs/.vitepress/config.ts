import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitepress';
import { accessible } from './markdown.ts';

const page = (text: string, link: string) => ({ text, link });
const site = fileURLToPath(new URL('../src/generated/site/', import.meta.url));

/** The pages of a folder of the site, but for its first page. */
function pagesIn(folder: string): string[] {
  if (!existsSync(site + folder)) return [];
  return readdirSync(site + folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md') && file !== 'index.md')
    .map((file) => file.replace(/\.md$/, ''))
    .sort();
}

const packages = ['core', 'cpu', 'webgpu', 'reference', 'conformance', 'checkpoint', 'train', 'mixers', 'lm'];

const first = [
  { text: 'Understand', items: [page('What Mamba is', '/what-is-mamba'), page('Glossary', '/docs/glossary')] },
  {
    text: 'Start',
    items: [
      page('Web developer', '/start/web'),
      page('Kernel author', '/start/kernels'),
      page('Choosing hardware', '/start/hardware'),
      page('Researcher', '/start/research'),
    ],
  },
  {
    text: 'Guides',
    items: [
      page('Add a kernel', '/guide/kernel'),
      page('Add a kind of block', '/docs/adding-a-block'),
      page('Add a family of models', '/guide/family'),
      page('Write a backend', '/docs/writing-a-backend'),
      page('Train', '/docs/training'),
      page('Serve', '/guide/serving'),
      page('Several servers', '/docs/serving'),
      page('Numerics', '/guide/numerics'),
      page('Errors by code', '/docs/errors'),
      page('Contribute', '/CONTRIBUTING'),
      page('Release', '/docs/releasing'),
      page('Security', '/SECURITY'),
    ],
  },
  { text: 'Packages', items: packages.map((name) => page(`@mamba/${name}`, `/packages/${name}/`)) },
  {
    text: 'Measured',
    items: [
      page('Where it runs', '/measured/support'),
      page('On an H100, in pictures', '/measured/h100'),
      page('On a CPU, in pictures', '/measured/cpu'),
      page('Learning, in pictures', '/measured/training'),
      page('Blocks of equal size, in pictures', '/measured/versus'),
      page('On an H100', '/docs/performance/h100'),
      page('On a CPU', '/docs/performance/cpu'),
      page('Beside other systems', '/docs/versus'),
      page('The scan, rung by rung', '/docs/kernels/selective-scan'),
      page('The benchmark', '/apps/bench/'),
      page('The first steps of a new user', '/docs/performance/first-steps'),
    ],
  },
  { text: 'More', items: [page('API reference', '/api/'), page('Decisions', '/docs/adr/')] },
];

/**
 * The sidebar of a folder that has too many pages for the first one. Groups that fold would be shorter, but the theme
 * makes of each a button with another button in it.
 */
const folder = (text: string, index: string, path: string) => [
  {
    text,
    items: [
      page('← All of the documentation', '/'),
      page(index, `/${path}/`),
      ...pagesIn(path).map((name) => page(name, `/${path}/${name}`)),
    ],
  },
];
const sidebar = {
  '/': first,
  '/api/': folder('API reference', 'All packages', 'api'),
  '/docs/adr/': folder('Decisions', 'All decisions', 'docs/adr'),
};

export default defineConfig({
  title: '@mamba',
  description: 'Mamba models in JavaScript: in Node and in browsers, on WebAssembly and WebGPU',
  srcDir: './src/generated/site',
  outDir: './dist',
  cacheDir: './node_modules/.vitepress',
  cleanUrls: false,
  // The usual light theme has colours of too little contrast on the grey behind code.
  markdown: {
    math: true,
    config: accessible,
    theme: { light: 'github-light-high-contrast', dark: 'github-dark-high-contrast' },
  },
  vite: {
    // Errors of a build are enough to see; the pages of the reference are long.
    build: { chunkSizeWarningLimit: 4000 },
    worker: { format: 'es' },
  },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      page('What Mamba is', '/what-is-mamba'),
      page('Start', '/start/web'),
      page('Guides', '/guide/kernel'),
      page('Measured', '/measured/h100'),
      page('Errors', '/docs/errors'),
      page('API', '/api/'),
    ],
    sidebar,
  },
});
