/** The folders in which peers are installed: each in its own, in this app, outside the workspace. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { MambaError } from '@mamba/core';
import { appFolder } from '../built.ts';
import type { Peer } from './contract.ts';

export function peerFolder({ name }: Pick<Peer, 'name'>): string {
  return join(appFolder, '.peers', name);
}

/** The packages that are missing or of another version: `node-llama-cpp@3.22.1`. */
export async function missingPackages(peer: Peer): Promise<string[]> {
  const missing: string[] = [];
  for (const [name, version] of Object.entries(peer.packages)) {
    const manifest = join(peerFolder(peer), 'node_modules', name, 'package.json');
    const installed = existsSync(manifest)
      ? (JSON.parse(await readFile(manifest, 'utf8')) as { version?: string }).version
      : undefined;
    if (installed !== version) missing.push(`${name}@${version}`);
  }
  return missing;
}

/**
 * Installs from npm, without running install scripts.
 * @throws MambaError `unavailable` where npm fails, with the end of what it said.
 */
export async function installPeer(peer: Peer): Promise<void> {
  const folder = peerFolder(peer);
  await mkdir(folder, { recursive: true });
  const manifest = { private: true, description: `${peer.name}, for mamba-bench`, dependencies: peer.packages };
  await writeFile(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const child = spawn(npm, args, {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32',
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
  }
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const missing = await missingPackages(peer);
  if (status !== 0 || missing.length > 0)
    throw new MambaError('unavailable', `npm could not install ${peer.name}`, {
      origin: peer.name,
      given: said.trim().split('\n').slice(-3).join(' ') || `status ${status}`,
      remedy: 'Check the connection to the registry, and try again.',
    });
}

/** Imports a module of a peer's packages. */
export async function importFrom<T>(folder: string, path: string): Promise<T> {
  return (await import(pathToFileURL(join(folder, 'node_modules', path)).href)) as T;
}
