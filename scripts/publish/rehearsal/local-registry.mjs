/** A registry of npm packages on this machine, with accounts, which asks no other registry. */
import { fork } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

/**
 * Starts a registry that keeps everything in a folder.
 * @param rights who may publish, by pattern of names: `{ '@scope/*': ['account'] }`
 */
export async function startRegistry(folder, rights) {
  mkdirSync(folder, { recursive: true });
  const packages = Object.fromEntries(
    Object.entries(rights).map(([pattern, accounts]) => [pattern, { access: '$all', publish: accounts.join(' ') }]),
  );
  const config = {
    storage: join(folder, 'storage'),
    auth: { htpasswd: { file: join(folder, 'htpasswd') } },
    packages,
    web: { enable: false },
    log: { type: 'stdout', level: 'error' },
  };
  const file = join(folder, 'config.yaml');
  writeFileSync(file, JSON.stringify(config)); // YAML reads JSON.
  const program = fileURLToPath(new URL('registry-process.mjs', import.meta.url));
  const child = fork(program, [file], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  const said = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => said.push(`${chunk}`));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const address = await Promise.race([
    new Promise((resolve) => child.once('message', resolve)),
    ended.then(() => {
      throw new Error(`the registry ended: ${said.join('')}`);
    }),
  ]);
  return {
    address,
    /** Makes an account, and returns its token and the environment in which npm publishes and installs by it. */
    async account(name) {
      const body = JSON.stringify({ name, password: `the word of ${name}` });
      const headers = { 'content-type': 'application/json' };
      const response = await fetch(`${address}-/user/org.couchdb.user:${name}`, { method: 'PUT', headers, body });
      const { token } = await response.json();
      const settings = join(folder, `${name}.npmrc`);
      writeFileSync(settings, `${address.replace('http:', '')}:_authToken=${token}\n`);
      return { token, env: { ...npmEnvironment(folder, address), npm_config_userconfig: settings } };
    },
    async close() {
      child.disconnect();
      await ended;
    },
  };
}

/** The environment in which npm knows of this registry alone. */
function npmEnvironment(folder, address) {
  return {
    ...process.env,
    npm_config_registry: address,
    npm_config_cache: join(folder, 'cache'),
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_update_notifier: 'false',
    npm_config_loglevel: 'error',
  };
}
