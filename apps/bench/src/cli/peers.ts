import { isMambaError } from '@mamba/core';
import { messageWithHelp } from '@mamba/core/toolkit';
import { chooseNamed } from '../machine/backends.ts';
import { installPeer, missingPackages } from '../peers/folder.ts';
import { PEERS } from '../peers/index.ts';
import { styleFor } from '../report/style.ts';
import type { Terminal } from './terminal.ts';

/**
 * Installs the peers that are missing. Gives 1 where one could not be installed; the others are installed all the same.
 */
export async function installPeers(
  names: readonly string[],
  { stdout, stderr, environment }: Terminal,
): Promise<number> {
  let status = 0;
  for (const peer of chooseNamed(PEERS, names, 'peer')) {
    const missing = await missingPackages(peer);
    if (missing.length === 0) {
      stdout.write(`${peer.name}: installed already\n`);
      continue;
    }
    stderr.write(`${peer.name}: installing ${missing.join(', ')} …\n`);
    try {
      await installPeer(peer);
      stdout.write(`${peer.name}: installed\n`);
    } catch (error) {
      if (!isMambaError(error)) throw error;
      stderr.write(`${styleFor(stderr, environment).red('mamba-bench:')} ${messageWithHelp(error)}\n`);
      status = 1;
    }
  }
  return status;
}

export async function listPeers({ stdout }: Terminal): Promise<number> {
  for (const peer of PEERS) {
    const missing = await missingPackages(peer);
    const how = missing.length === 0 ? 'installed' : `not installed: mamba-bench peers install ${peer.name}`;
    stdout.write(`${peer.name}: ${peer.description}; ${how}\n`);
  }
  return 0;
}
