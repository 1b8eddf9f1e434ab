/** Checks with TypeScript from the oldest supported version on, without skipLibCheck, `lib` or types of a host. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CONSUMER = fileURLToPath(new URL('../publish/consumers/plain.ts', import.meta.url));
const PROJECT = {
  compilerOptions: { target: 'ES2022', lib: ['ES2022'], types: [], module: 'NodeNext', strict: true, noEmit: true },
  files: ['plain.ts'],
};

export const compilers = ['5.0', '5.4', '5.9', '6', '7'].map((version) => ({
  name: `TypeScript ${version}`,
  threads: undefined,
  tools: [`typescript@${version}`, 'zod', 'hono', '@hono/node-server'],
  packages: ['core', 'cpu', 'checkpoint', 'lm', 'webgpu', 'reference', 'conformance', 'train', 'mixers'],
  files: { 'tsconfig.json': JSON.stringify(PROJECT) },
  async run(project) {
    cpSync(CONSUMER, join(project.folder, 'plain.ts'));
    // Every `moduleResolution` that knows `exports` is tried.
    await project.run('./tsc', '-p', '.');
    await project.run('./tsc', '-p', '.', '--module', 'Node16', '--moduleResolution', 'Node16');
    await project.run('./tsc', '-p', '.', '--module', 'ESNext', '--moduleResolution', 'Bundler');
    return { threads: undefined, sum: 64, description: 'compiles' };
  },
}));
