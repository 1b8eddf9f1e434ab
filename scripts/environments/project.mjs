/** The project of an environment: a folder with the packages from tarballs, tools from npm, and the app. */
import { execFile, spawn } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const APP = fileURLToPath(new URL('app/', import.meta.url));

export function createProject(folder, tarballs, { tools = [], files = {}, packages = ['core', 'cpu'] }) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  cpSync(APP, folder, { recursive: true });
  const dependencies = Object.fromEntries(packages.map((short) => [`@mamba/${short}`, `file:${tarballs[short]}`]));
  const project = {
    folder,
    write: (name, text) => {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    },
    /** Runs a command in the folder, and returns its output. @throws with the output where it fails. */
    async run(command, ...args) {
      const env = { ...process.env, NEXT_TELEMETRY_DISABLED: '1', CI: '1', NO_COLOR: '1' };
      try {
        const options = { cwd: folder, env, maxBuffer: 2 ** 26, timeout: 300_000 };
        const { stdout, stderr } = await promisify(execFile)(project.bin(command), args, options);
        return { stdout, all: stdout + stderr };
      } catch (error) {
        throw new Error(`${command}: ${error.stdout ?? ''}${error.stderr ?? error.message}`);
      }
    },
    bin: (command) => (command.startsWith('./') ? join(folder, 'node_modules', '.bin', command.slice(2)) : command),
    /** Runs a command, and returns the last line that it prints, as JSON. */
    async report(command, ...args) {
      const { stdout } = await project.run(command, ...args);
      return JSON.parse(stdout.trim().split('\n').at(-1));
    },
    /**
     * Starts a server, waits until it prints `listens` (if that is absent, `use` has to wait), and ends it after `use`.
     */
    async withServer([command, ...args], listens, use) {
      const env = { ...process.env, NEXT_TELEMETRY_DISABLED: '1', NO_COLOR: '1' };
      const child = spawn(project.bin(command), args, { cwd: folder, env, detached: true });
      try {
        await new Promise((resolve, reject) => {
          if (listens === undefined) resolve();
          let said = '';
          const hear = (chunk) => {
            said += chunk;
            if (listens?.test(said)) resolve();
          };
          child.stdout.on('data', hear);
          child.stderr.on('data', hear);
          child.once('error', reject);
          child.once('exit', () => reject(new Error(said)));
        });
        return await use();
      } finally {
        process.kill(-child.pid, 'SIGKILL');
      }
    },
  };
  project.write('package.json', JSON.stringify({ private: true, type: 'module', dependencies }));
  for (const [name, text] of Object.entries(files)) project.write(name, text);
  project.install = () => project.run('npm', 'install', '--no-audit', '--no-fund', '--loglevel=error', ...tools);
  return project;
}
