// npm start [-- ARGUMENT…]: installs, builds, then runs the bench's default job.
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { bootstrap } from './bootstrap.mjs';
import { environment, root, run, turbo } from './lib.mjs';

bootstrap();
console.log('building …');
const status = turbo(['build']);
if (status !== 0) process.exit(status);
if (!hasGpu()) {
  // webgpu is then checked and timed on a GPU in software, and the bench marks it as such.
  const { useSwiftShader } = await import('../tools/software-gpu/dist/index.js');
  useSwiftShader(environment);
}
process.exitCode = run(process.execPath, ['apps/bench/dist/cli/main.js', 'start', ...process.argv.slice(2)]);
if (process.exitCode === 0)
  console.log(
    '\nnpm run showcase opens a page where a model writes, forks and learns; npm run playground has all of it.',
  );

/** Whether WebGPU finds an adapter. A process of its own tries it, since Dawn reads its environment as it starts. */
function hasGpu() {
  const code = "import { webgpu } from '@mamba/webgpu'; await (await webgpu().create()).dispose();";
  const options = { cwd: root, env: environment, stdio: 'ignore' };
  return spawnSync(process.execPath, ['--input-type=module', '--eval', code], options).status === 0;
}
