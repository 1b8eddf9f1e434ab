// npm run playground [-- ARGUMENT…]: installs, builds, serves the pages of the playground and opens them.
// npm run showcase [-- ARGUMENT…]: the same with the page of that name.
// The arguments go to `vite preview`.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { bootstrap } from './bootstrap.mjs';
import { environment, root, turbo } from './lib.mjs';

const [page, ...rest] = process.argv.slice(2);
bootstrap();
console.log('building …');
const status = turbo(['build'], ['--filter=@mamba/playground']);
if (status !== 0) process.exit(status);
const cwd = join(root, 'apps/playground');
const vite = join(cwd, 'node_modules/vite/bin/vite.js');
if (!hasDesktop()) console.log(`Open ${page} at the address that follows.`);
const args = [vite, 'preview', ...(hasDesktop() ? ['--open', page] : []), ...rest];
process.exitCode = spawnSync(process.execPath, args, { cwd, env: environment, stdio: 'inherit' }).status ?? 1;

/** Whether a browser can be opened here. Elsewhere the address that is printed has to do. */
function hasDesktop() {
  if (process.env.CI !== undefined || process.env.SSH_CONNECTION !== undefined) return false;
  if (process.platform !== 'linux') return true;
  return process.env.DISPLAY !== undefined || process.env.WAYLAND_DISPLAY !== undefined;
}
