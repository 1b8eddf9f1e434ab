// npm run check:packages [-- FOLDER]: lets publint and attw (Are the types wrong?) read the tarballs of a folder, or
// tarballs that are packed for it.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { binFolder, root, run } from '../lib.mjs';
import { buildPackages, packPackages } from './pack.mjs';
import { publishing } from './packages.mjs';
import { readTarball } from './registry.mjs';

/** Entries that attw leaves out, each with the reason. */
const UNTYPED = {
  '@mamba/cpu': { 'worker.js': 'a program of a worker, which is given by its address and never imported' },
};

/** Returns what publint finds wrong in a tarball, suggestions included. */
export async function findingsIn(file) {
  const { messages, pkg } = await publint({ pack: { tarball: bytesOf(file) }, strict: true });
  return messages.map((message) => formatMessage(message, pkg, { color: false }));
}

const bytesOf = (file) => {
  const { buffer, byteOffset, byteLength } = readFileSync(file);
  return buffer.slice(byteOffset, byteOffset + byteLength);
};

/** Whether attw finds nothing in a tarball. It prints what it finds. */
function typesFit(file) {
  const { name } = readTarball(file);
  const left = Object.entries(UNTYPED).find(([full]) => name.endsWith(full.slice(full.indexOf('/'))))?.[1] ?? {};
  const without = Object.keys(left).length > 0 ? ['--exclude-entrypoints', ...Object.keys(left)] : [];
  return run(join(binFolder, 'attw'), [file, '--profile', 'esm-only', '--format', 'ascii', ...without]) === 0;
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [given] = process.argv.slice(2);
  const stage = mkdtempSync(join(tmpdir(), 'mamba-lint-'));
  try {
    const folder = given === undefined ? stage : resolve(process.env.INIT_CWD ?? root, given);
    if (given === undefined) {
      buildPackages();
      packPackages(stage, publishing().scope);
    }
    const files = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
    if (files.length === 0) throw new Error(`${folder} holds no tarball: write some by \`npm run pack -- FOLDER\``);
    for (const name of files) {
      const findings = await findingsIn(join(folder, name));
      for (const finding of findings) console.error(`${name}: ${finding}`);
      if (findings.length > 0 || !typesFit(join(folder, name))) process.exitCode = 1;
    }
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}
