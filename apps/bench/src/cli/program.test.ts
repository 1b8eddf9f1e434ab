import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { parseReport } from '../schema/report.ts';
import { runCommand } from './program.ts';

class Sink extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

async function run(...args: string[]) {
  const stdout = new Sink();
  const stderr = new Sink();
  const status = await runCommand(args, { stdout, stderr, environment: {} });
  return { status, stdout: stdout.text, stderr: stderr.text };
}

it.each([
  [['run', '--suite', 'scan,sacn'], 'there is no suite "sacn"', 'scan, block, model'],
  [['run', '--backend', 'cuda'], 'there is no backend "cuda"', 'webgpu, cpu, reference'],
])('says what exists where %j names something else', async (args, complaint, known) => {
  const { status, stdout, stderr } = await run(...args);
  expect(status).toBe(1);
  expect(stderr).toContain(complaint);
  expect(stderr).toContain(known);
  expect(stdout).toBe('');
});

it('refuses a folder that is not there before it measures anything', async () => {
  const { status, stdout, stderr } = await run('run', '--json', join(tmpdir(), 'mamba-absent', 'x.json'));
  expect(status).toBe(1);
  expect(stderr).toContain('ENOENT');
  expect(stdout).toBe('');
});

it('refuses options that do not exist, and describes those that do', async () => {
  expect(await run('run', '--fast')).toMatchObject({ status: 1, stderr: expect.stringContaining('--fast') });
  const { status, stdout } = await run('run', '--help');
  expect(status).toBe(0);
  for (const option of ['--backend', '--suite', '--json', '--quick']) expect(stdout).toContain(option);
});

it('writes tables to stdout, brief lines to stderr, and a report; an interrupt keeps what there is', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mamba-bench-'));
  try {
    const file = join(folder, 'report.json');
    const stdout = new Sink();
    const stderr = new Sink();
    const handlers = process.listenerCount('SIGINT');
    const running = runCommand(['run', '--backend', 'reference', '--suite', 'scan', '--quick', '--json', file], {
      stdout,
      stderr,
      environment: {},
    });
    // Once the first case is measured and the second one is under way.
    while (!stderr.text.includes('scan/length-1024')) await new Promise((resolve) => setTimeout(resolve, 5));
    process.emit('SIGINT');
    expect(await running).toBe(130);
    expect(process.listenerCount('SIGINT')).toBe(handlers);
    const report = parseReport(await readFile(file, 'utf8'), file);
    expect(report.interrupted).toBe(true);
    expect(report.results.map(({ case: id }) => id)).toEqual(['scan/length-512']);
    expect(stdout.text).toContain('stopped early');
    expect(stdout.text).toMatch(/2\^9 +reference \(float64\)/);
    expect(stdout.text + stderr.text).not.toContain('\u001b[');
  } finally {
    await rm(folder, { recursive: true });
  }
});
