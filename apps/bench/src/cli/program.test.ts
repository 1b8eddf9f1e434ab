import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { exampleReport, slowedReport } from '../../test/example-report.ts';
import { parseReport, parseReports } from '../schema/report.ts';
import { writeReport } from '../schema/write.ts';
import { runCommand } from './program.ts';

class Sink extends Writable {
  text = '';
  onText: (text: string) => void = () => {};
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    this.onText(this.text);
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
  [['run', '--suite', 'scan,sacn'], 'there is no suite "sacn"', 'scan, conv, linear, block, model'],
  [['run', '--backend', 'cuda'], 'there is no backend "cuda"', 'webgpu, cpu, reference'],
])('says what exists where %j names something else', async (args, complaint, known) => {
  const { status, stdout, stderr } = await run(...args);
  expect(status).toBe(2);
  expect(stderr).toContain(complaint);
  expect(stderr).toContain(known);
  expect(stderr).toMatch(/\nsee docs\/errors\.md#invalid-argument\n$/);
  expect(stdout).toBe('');
});

it.each([
  [['--suite', 'model', '--length', '64'], 'nothing here takes --length', 'scan, conv, block, context and train'],
  [['--suite', 'scan,block', '--dtype', 'q8'], 'nothing here takes --dtype', 'linear, model and quantised'],
  [['--suite', 'small', '--model', 'mamba-130m'], 'nothing here takes --model', 'one of model with it'],
  [['--suite', 'scan', '--backend', 'reference', '--state', '8'], '--state is for backends that can', 'reference'],
])('refuses %j, which nothing would heed', async (args, complaint, known) => {
  const { status, stdout, stderr } = await run('run', ...args);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toContain(complaint);
  expect(stderr).toContain(known);
});

it('refuses a folder that is not there before it measures anything', async () => {
  const { status, stdout, stderr } = await run('run', '--json', join(tmpdir(), 'mamba-absent', 'x.json'));
  expect(status).toBe(2);
  expect(stderr).toContain('x.json cannot be written');
  expect(stderr).toContain('there is no such file or folder');
  expect(stdout).toBe('');
});

it('refuses options that do not exist, and describes those that do', async () => {
  expect(await run('run', '--fast')).toMatchObject({ status: 2, stderr: expect.stringContaining('--fast') });
  const { status, stdout } = await run('run', '--help');
  expect(status).toBe(0);
  for (const option of ['--backend', '--suite', '--json', '--quick', '--thorough', '--length', '--dtype', '--threads'])
    expect(stdout).toContain(option);
});

it.each([
  [['run', '--length', '2^x'], '"2^x" is not a positive integer'],
  [['run', '--dtype', 'q5'], 'float32, float16, bfloat16, q8, q4'],
  [['run', '--model', 'mamba-3b'], 'mamba-130m'],
  [['run', '--quick', '--thorough'], 'cannot be used with'],
  [['compare', 'a.json', 'b.json', '--regression', 'much'], 'is not a percentage'],
])('refuses %j', async (args, complaint) => {
  const { status, stderr } = await run(...args);
  expect(status).toBe(2);
  expect(stderr).toContain(complaint);
});

it('measures the shapes that were asked for', async () => {
  await inFolder(async (folder) => {
    const file = join(folder, 'report.json');
    const args = ['--suite', 'conv,scan', '--length', '2^4,48', '--state', '4', '--quick'];
    const { status, stdout } = await run('run', '--backend', 'cpu', ...args, '--json', file);
    expect(status).toBe(0);
    const report = parseReport(await readFile(file, 'utf8'), file);
    expect(report.results.map(({ case: id, status: how }) => `${id} ${how}`)).toEqual([
      'scan/length-16-state-4 measured',
      'scan/length-48-state-4 measured',
      'conv/length-16 measured',
      'conv/length-48 measured',
    ]);
    expect(report.settings).toMatchObject({ effort: 'quick', shapes: { length: [16, 48], state: [4] } });
    expect(stdout).toContain('2^4, 4 states');
  });
});

describe('compare', () => {
  it('says how runs differ, and exits 1 beyond the regression alone', async () => {
    await inFolder(async (folder) => {
      const [a, b, c] = ['a.json', 'b.json', 'c.json'].map((name) => join(folder, name)) as [string, string, string];
      await writeReport(exampleReport(), a);
      await writeReport(slowedReport(1.5), b);
      await writeReport({ ...exampleReport(), schemaVersion: 5 }, c);
      const slower = await run('compare', a, b);
      expect(slower.status).toBe(1);
      expect(slower.stdout).toContain('1.50×▲');
      expect(slower.stdout).toContain('4 of 4 got worse by more than 10 %');
      expect(await run('compare', a, b, '--regression', '60%')).toMatchObject({ status: 0 });
      expect(await run('compare', b, a)).toMatchObject({ status: 0 });
      expect(await run('compare', a, c)).toMatchObject({ status: 0, stdout: expect.stringContaining('no regression') });
    });
  });

  it('shows the memory of calls where both runs tell it, and exits 1 where it grew', async () => {
    await inFolder(async (folder) => {
      const [a, b] = [join(folder, 'a.json'), join(folder, 'b.json')];
      for (const [file, peak] of [
        [a, 1000],
        [b, 1250],
      ] as const) {
        const report = exampleReport();
        report.results[0]!.memory!.peak = peak;
        writeReport(report, file);
      }
      const larger = await run('compare', a, b);
      expect(larger.status).toBe(1);
      expect(larger.stdout).toContain('memory');
      expect(larger.stdout).toContain('1.25×');
      expect((await run('compare', a, a)).status).toBe(0);
      writeReport(exampleReport(), b);
      expect((await run('compare', a, b)).stdout).not.toContain('memory');
    });
  });

  it('is no success where nothing was measured in both', async () => {
    await inFolder(async (folder) => {
      const [a, b] = [join(folder, 'a.json'), join(folder, 'b.json')];
      writeReport(exampleReport(), a);
      writeReport({ ...exampleReport(), results: [] }, b);
      expect(await run('compare', a, b)).toMatchObject({
        status: 2,
        stderr: expect.stringContaining('nothing was measured in both'),
      });
      expect(await run('compare', a, join(folder, 'c.json'))).toMatchObject({
        status: 2,
        stderr: expect.stringContaining('c.json could not be read: there is no such file or folder'),
      });
    });
  });

  it('says what is wrong with a file', async () => {
    await inFolder(async (folder) => {
      const file = join(folder, 'a.json');
      await writeFile(file, '{"kind":"mamba-bench","schemaVersion":9,"tool":{"version":"7.0.0"}}');
      const { status, stderr } = await run('compare', file, file);
      expect(status).toBe(2);
      expect(stderr).toContain('version 7.0.0');
    });
  });
});

describe('merge and report', () => {
  it('make a set of a folder and a page of the set, and say what they did', async () => {
    await inFolder(async (folder) => {
      const machine = { ...exampleReport().machine, cpu: 'Other CPU' };
      await writeReport(exampleReport(), join(folder, 'a.json'));
      await writeReport({ ...exampleReport(), machine }, join(folder, 'b.json'));
      await writeFile(join(folder, 'package.json'), '{}');
      const out = join(folder, 'set');
      const merged = await run('merge', folder, '--out', out);
      // Another tool's file was left out.
      expect(merged.status).toBe(1);
      expect(merged.stderr).toContain('package.json is not a report');
      expect(parseReports(await readFile(out, 'utf8'), out)).toHaveLength(2);
      const page = join(folder, 'report.html');
      expect(await run('report', out, '--out', page)).toMatchObject({ status: 0 });
      expect(await readFile(page, 'utf8')).toContain('Other CPU');
      // What peers/pytorch_training.py writes stands beside the reports, and makes no page by itself.
      const training = join(folder, 'training.json');
      const shape = { batch: 8, length: 256 };
      const row = { name: 'train.induction-heads', shape, dtype: 'float32', tokensPerSecond: 271000 };
      await writeFile(training, JSON.stringify({ torch: '2.11', device: 'a GPU', scan: 'its own', rows: [row] }));
      expect(await run('report', out, training, '--out', page)).toMatchObject({ status: 0 });
      expect(await readFile(page, 'utf8')).toMatch(/PyTorch 2\.11 on a GPU.*induction-heads.*271,000 tok\/s/s);
      expect(await run('report', training, '--out', page)).toMatchObject({
        status: 2,
        stderr: expect.stringContaining('give both'),
      });
    });
  });

  it('refuse a folder without reports', async () => {
    await inFolder(async (folder) => {
      const { status, stderr } = await run('merge', folder);
      expect(status).toBe(2);
      expect(stderr).toContain('there is no report');
    });
  });
});

describe('Ctrl-C', () => {
  const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
  /** A run of its own process that is interrupted `times` once its first case is under way. */
  const interrupted = async (folder: string, times: number): Promise<number | null> => {
    const args = ['run', '--backend', 'reference', '--suite', 'scan', '--json', join(folder, 'report.json')];
    // Measurements have their full length, so that the run does not end before it is interrupted.
    const env = { ...process.env, MAMBA_BENCH_SMALL: '' };
    const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'ignore', 'pipe'], env });
    let interrupts = 0;
    child.stderr.on('data', (chunk: Buffer) => {
      const text = chunk.toString();
      if (interrupts === 0 ? text.includes('scan/length-') : interrupts < times && text.includes('stopping')) {
        interrupts++;
        child.kill('SIGINT');
      }
    });
    return new Promise((resolve) => child.once('exit', resolve));
  };

  it('once keeps what was measured until then', async () => {
    await inFolder(async (folder) => {
      expect(await interrupted(folder, 1)).toBe(130);
      expect(await readdir(folder)).toEqual(['report.json']);
      const file = join(folder, 'report.json');
      expect(parseReport(await readFile(file, 'utf8'), file).interrupted).toBe(true);
    });
  });

  it('twice ends at once, and leaves no half of a file', async () => {
    await inFolder(async (folder) => {
      expect(await interrupted(folder, 2)).toBe(130);
      expect((await readdir(folder)).filter((name) => name !== 'report.json')).toEqual([]);
    });
  });
});

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'mamba-bench-'));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

it('writes tables to stdout, brief lines to stderr, and a report; an interrupt keeps what there is', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mamba-bench-'));
  try {
    const file = join(folder, 'report.json');
    const stdout = new Sink();
    const stderr = new Sink();
    const handlers = process.listenerCount('SIGINT');
    // The interrupt comes once the first case is measured and the second one is under way.
    stderr.onText = (text) => {
      if (!text.includes('scan/length-256')) return;
      stderr.onText = () => {};
      process.emit('SIGINT');
    };
    const args = ['run', '--backend', 'reference', '--suite', 'scan', '--quick', '--json', file];
    expect(await runCommand(args, { stdout, stderr, environment: {} })).toBe(130);
    expect(process.listenerCount('SIGINT')).toBe(handlers);
    const report = parseReport(await readFile(file, 'utf8'), file);
    expect(report.interrupted).toBe(true);
    expect(report.results.map(({ case: id }) => id)).toEqual(['scan/length-128']);
    expect(stdout.text).toContain('stopped early');
    expect(stdout.text).toMatch(/2\^7 +reference \(float64\)/);
    expect(stdout.text + stderr.text).not.toContain('\u001b[');
  } finally {
    await rm(folder, { recursive: true });
  }
});
