// The samples of code in Markdown: found, and run as a reader would run them in a clone.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import process from 'node:process';

export interface Sample {
  readonly language: string;
  /** The number of the line that the code begins at. */
  readonly line: number;
  readonly code: string;
  /** Why the sample is not run, of a fence that says so: ```js fragment: REASON. */
  readonly reason: string | undefined;
}

const FENCE = /^([ \t]*)```(js|mjs|ts|html|sh)\b(.*)\n([\s\S]*?)^[ \t]*```[ \t]*$/gm;

/** Returns the samples of a Markdown text that are code of a language which a reader could run. */
export function samplesIn(text: string): readonly Sample[] {
  return [...text.matchAll(FENCE)].map(({ index, 1: indent = '', 2: language = '', 3: info = '', 4: code = '' }) => ({
    language,
    line: text.slice(0, index).split('\n').length + 1,
    code: code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
    reason: info.match(/^ fragment: (.+)$/)?.[1],
  }));
}

/** Runs a sample in a folder that looks like a clone, and returns what it wrote. Rejects with that where it fails. */
export async function runSample({ language, code }: Sample, root: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'mamba-sample-'));
  try {
    for (const name of ['node_modules', 'packages', 'docs'])
      symlinkSync(join(root, name), join(folder, name), 'junction');
    const file = language === 'sh' ? 'example.sh' : 'example.mjs';
    writeFileSync(join(folder, file), code);
    const [command, args] = language === 'sh' ? ['bash', ['-e', file]] : [process.execPath, [file]];
    return await output(command, args, folder, root);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function output(command: string, args: readonly string[], cwd: string, root: string): Promise<string> {
  const path = join(root, 'node_modules', '.bin') + delimiter + (process.env.PATH ?? '');
  const child = spawn(command, args, { cwd, env: { ...process.env, PATH: path } });
  let written = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      written += text;
    });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => {
      if (status === 0) resolve(written);
      else reject(new Error(`${command} ended with ${status}:\n${written}`));
    });
  });
}
