// npm run playground [-- ARGUMENT…]: installs, builds, serves the playground and opens it.
// The arguments go to `vite preview`.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { bootstrap } from './bootstrap.mjs';
import { environment, root, turbo } from './lib.mjs';

bootstrap();
console.log('building …');
const status = turbo(['build'], ['--filter=@mamba/playground']);
if (status !== 0) process.exit(status);
const cwd = join(root, 'apps/playground');
const vite = join(cwd, 'node_modules/vite/bin/vite.js');
const args = [vite, 'preview', ...(hasDesktop() ? ['--open'] : []), ...process.argv.slice(2)];
process.exitCode = spawnSync(process.execPath, args, { cwd, env: environment, stdio: 'inherit' }).status ?? 1;

/** Whether a browser can be opened here. Elsewhere the address that is printed has to do. */
function hasDesktop() {
  if (process.env.CI !== undefined || process.env.SSH_CONNECTION !== undefined) return false;
  if (process.platform !== 'linux') return true;
  return process.env.DISPLAY !== undefined || process.env.WAYLAND_DISPLAY !== undefined;
}
