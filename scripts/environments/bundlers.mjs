/** Checks of bundlers: none may warn, and their bundles keep their threads. */
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { ISOLATED, inChromium, pageOf } from './browsers.mjs';

const BUILT_PAGE = '<!doctype html><meta charset="utf-8"><script type="module" src="./page.js"></script>\n';
const WARNING = /warning|critical dependency|can't resolve/i;

/** Builds with a command, and fails where it warns. */
async function build(project, ...command) {
  const { all } = await project.run(...command);
  if (WARNING.test(all.replace(/0 warnings?/g, ''))) throw new Error(`it warns: ${all}`);
}

const page = (project, folder = 'out') => {
  project.write(`${folder}/index.html`, BUILT_PAGE);
  return pageOf(join(project.folder, folder));
};

const ROLLUP = `import { nodeResolve } from '@rollup/plugin-node-resolve';
export default { input: 'page.js', output: { dir: 'out' }, plugins: [nodeResolve({ browser: true })] };
`;

const pack = (target) => `export default {
  mode: 'production', target: '${target}', entry: { page: './${target === 'web' ? 'page' : 'print'}.js' },
  output: { path: import.meta.dirname + '/out', filename: '[name].${target === 'web' ? 'js' : 'cjs'}', publicPath: 'auto' },
  performance: { hints: false },
};
`;

const packed = (name, tools, command, target) => ({
  name: `${name} for ${target}`,
  tools,
  files: { 'pack.config.mjs': pack(target) },
  async run(project) {
    await build(project, command, 'build', '--config', 'pack.config.mjs');
    return target === 'web' ? page(project) : project.report(process.execPath, 'out/page.cjs');
  },
});

const VITE = `export default { server: { headers: ${JSON.stringify(ISOLATED)} }, preview: { headers: ${JSON.stringify(ISOLATED)} } };\n`;

const vite = (version, port) => [
  {
    name: `Vite ${version}, build`,
    tools: [`vite@${version}`],
    files: { 'vite.config.js': VITE },
    async run(project) {
      await build(project, './vite', 'build');
      return pageOf(join(project.folder, 'dist'));
    },
  },
  {
    name: `Vite ${version}, dev`,
    tools: [`vite@${version}`],
    files: { 'vite.config.js': VITE },
    run: (project) =>
      project.withServer(['./vite', '--port', `${port}`, '--strictPort', '--host', '127.0.0.1'], /ready in/, () =>
        inChromium(`http://127.0.0.1:${port}/`),
      ),
  },
];

const NEXT = {
  'next.config.mjs': `export default { async headers() { return [{ source: '/:path*', headers: ${JSON.stringify(
    Object.entries(ISOLATED).map(([key, value]) => ({ key, value })),
  )} }]; } };\n`,
  'app/layout.jsx':
    'export default function Layout({ children }) { return <html lang="en"><body>{children}</body></html>; }\n',
  'app/page.jsx': `'use client';
import { useEffect } from 'react';
import { report } from '../report.js';
export default function Page() {
  useEffect(() => { report().then((result) => { document.title = JSON.stringify(result); }); }, []);
  return <p>Threads</p>;
}
`,
  'app/threads/route.js': `import { report } from '../../report.js';
export const dynamic = 'force-dynamic';
export const GET = async () => Response.json(await report());
`,
};

const next = (bundler, port) => ({
  name: `Next, ${bundler}`,
  tools: ['next', 'react', 'react-dom'],
  files: NEXT,
  async run(project) {
    await build(project, './next', 'build', `--${bundler}`);
    return project.withServer(['./next', 'start', '-p', `${port}`], /ready/i, async () => {
      const onServer = await (await fetch(`http://127.0.0.1:${port}/threads`)).json();
      const onPage = await inChromium(`http://127.0.0.1:${port}/`);
      return onServer.threads === onPage.threads ? onPage : { failure: JSON.stringify({ onServer, onPage }) };
    });
  },
});

const text = (name, tools, files, make) => ({
  name: `${name}, a language model in a page`,
  threads: 2,
  tools,
  files,
  packages: ['core', 'cpu', 'checkpoint', 'lm', 'webgpu'],
  async run(project, checkpoint) {
    const folder = await make(project);
    mkdirSync(join(project.folder, folder), { recursive: true });
    cpSync(checkpoint, join(project.folder, folder, 'kjv-mamba'), { recursive: true });
    return pageOf(join(project.folder, folder));
  },
});

export const bundlers = [
  {
    name: 'esbuild for browsers',
    tools: ['esbuild'],
    async run(project) {
      await build(project, './esbuild', 'page.js', '--bundle', '--format=esm', '--splitting', '--outdir=out');
      return page(project);
    },
  },
  {
    name: 'esbuild for Node',
    tools: ['esbuild'],
    async run(project) {
      await build(project, './esbuild', 'print.js', '--bundle', '--platform=node', '--outfile=out/print.cjs');
      return project.report(process.execPath, 'out/print.cjs');
    },
  },
  {
    name: 'rollup',
    tools: ['rollup', '@rollup/plugin-node-resolve'],
    files: { 'rollup.config.mjs': ROLLUP },
    async run(project) {
      await build(project, './rollup', '-c', 'rollup.config.mjs');
      return page(project);
    },
  },
  ...['web', 'node'].map((target) => packed('webpack', ['webpack', 'webpack-cli'], './webpack', target)),
  ...['web', 'node'].map((target) => packed('Rspack', ['@rspack/core', '@rspack/cli'], './rspack', target)),
  ...vite(7, 18701),
  ...vite(8, 18801),
  next('turbopack', 18901),
  next('webpack', 18902),
  text('esbuild', ['esbuild'], {}, async (project) => {
    await build(project, './esbuild', 'text-page.js', '--bundle', '--format=esm', '--splitting', '--outdir=out');
    project.write('out/index.html', BUILT_PAGE.replace('page.js', 'text-page.js'));
    return 'out';
  }),
  text('Vite 8', ['vite@8'], { 'index.html': BUILT_PAGE.replace('page.js', 'text-page.js') }, async (project) => {
    await build(project, './vite', 'build');
    return 'dist';
  }),
];
