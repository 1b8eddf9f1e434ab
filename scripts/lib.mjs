// Helpers of the root's commands: folders, child processes, lists of files.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { delimiter, dirname, join, posix } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
export const binFolder = join(root, 'node_modules', '.bin');

/** The environment of child processes. */
export const environment = {
  ...process.env,
  // turbo starts `pnpm run …`: the workspace's own pnpm, whatever the machine has.
  PATH: binFolder + delimiter + (process.env.PATH ?? ''),
  TURBO_TELEMETRY_DISABLED: '1',
  TURBO_NO_UPDATE_NOTIFIER: '1',
  DO_NOT_TRACK: '1',
};

/** Runs a command to its end in the root folder with this process's streams, and returns its exit status. */
export function run(command, args) {
  const result = spawnSync(command, args, {
    cwd: root,
    env: environment,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (result.error) {
    console.error(`${command}: ${result.error.message}`);
    return 1;
  }
  if (result.signal) {
    console.error(`${command}: ended by ${result.signal}`);
    return 1;
  }
  return result.status ?? 1;
}

/** Runs a command quietly, and returns its output. @throws with the output where it fails. */
export function quiet(command, args, { cwd = root, env = environment } = {}) {
  const options = { cwd, env, encoding: 'utf8', maxBuffer: 2 ** 26, shell: process.platform === 'win32' };
  const { status, stdout, stderr, error } = spawnSync(command, args, options);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${error?.message ?? `${stdout}${stderr}`}`);
  return stdout;
}

/** Runs a command as `run` does, and ends this process with its status if it failed. */
export function runOrExit(command, args) {
  const status = run(command, args);
  if (status !== 0) process.exit(status);
}

/** Runs one of the tools that the workspace installs. */
export const tool = (name, args) => run(join(binFolder, name), args);

/** Runs turbo quietly: one line for each task, the whole output of a task that fails. */
export const turbo = (tasks, args = []) =>
  tool('turbo', ['run', ...tasks, '--output-logs=errors-only', '--log-prefix=task', ...args]);

/** Names of folders that are installed or built. */
const SKIPPED = ['node_modules', 'dist', 'generated', 'coverage', 'scratch'];
const HIDDEN = ['.changeset', '.ci', '.vitepress'];
/** Lists the repository's own files below a folder, as paths from the root. It needs no git. */
export function filesIn(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name);
    const skipped = SKIPPED.includes(entry.name) || (entry.name.startsWith('.') && !HIDDEN.includes(entry.name));
    if (entry.isDirectory()) return skipped ? [] : filesIn(path);
    return entry.isFile() ? [path] : [];
  });
}
