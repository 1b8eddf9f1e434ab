import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** The server that Debian's packages `valkey-server` and `redis-server` bring; undefined where neither is installed. */
export const REDIS = ['valkey-server', 'redis-server'].find(
  (name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0,
);

/** Why tests of a real server are skipped, for their names. */
export const NO_REDIS = 'neither valkey-server nor redis-server is installed (Debian has both)';

export interface RedisServer {
  readonly url: string;
  readonly process: ChildProcess;
  /** Kills it, and what it holds with it. */
  stop(): Promise<void>;
}

/** Starts a server that holds everything in memory. @param port Default: one that is free. */
export async function startRedis(port?: number): Promise<RedisServer> {
  const chosen = port ?? (await freePort());
  const options = { port: chosen, bind: '127.0.0.1', save: '', appendonly: 'no', 'repl-diskless-load': 'disabled' };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(REDIS!, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const text of child.stdout!) if (String(text).includes('Ready to accept connections')) break;
  return {
    url: `redis://127.0.0.1:${chosen}`,
    process: child,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { readonly port: number };
  server.close();
  await once(server, 'close');
  return port;
}
