import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseVersus } from '../schema/versus.ts';
import { runCommand } from './program.ts';

class Sink extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

async function versus(...args: string[]) {
  const [stdout, stderr] = [new Sink(), new Sink()];
  const status = await runCommand(['versus', ...args], { stdout, stderr, environment: {} });
  return { status, stdout: stdout.text, stderr: stderr.text };
}

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mamba-versus-'));
  file = join(folder, 'result.json');
});
afterAll(() => rm(folder, { recursive: true }));

it.each([
  [['--systems', 'mamba,mambo'], 'there is no system "mambo"', 'time-invariant'],
  [['--backend', 'cuda'], 'there is no backend "cuda"', 'webgpu, cpu'],
  [['--lengths', '2^30'], 'lengths cannot be 1073741824', 'a whole number'],
  [['--lengths', 'long'], '"long" is not a positive integer', ''],
  [['--memory', '-1'], 'not a positive number', ''],
  [['--batch', '1,2'], 'It takes one number', '"1,2"'],
  [['--d-model', '64', '--d-model', '128'], 'It takes one number', ''],
  [['--corpus', 'absent.txt'], 'absent.txt could not be read', ''],
  [['--processor-time', '--backend', 'cpu'], 'tells nothing of several threads', '--threads 1'],
  [['absent.json'], 'absent.json could not be read', ''],
  [['--json', '/absent/x.json'], 'cannot be written', ''],
])('refuses %j in words', async (args, complaint, known) => {
  const { status, stderr, stdout } = await versus(...args);
  expect(status).toBe(2);
  expect(stderr).toContain(complaint);
  expect(stderr).toContain(known);
  expect(stdout).toBe('');
});

it('measures in a process of its own, writes the result, and shows it again', async () => {
  const sizes = ['--lengths', '8,16', '--d-model', '16', '--prompts', '4', '--tokens', '2', '--rows', '1'];
  const args = ['--quick', '--backend', 'cpu', '--threads', '1', '--systems', 'time-invariant', ...sizes];
  const { status, stdout } = await versus(...args, '--json', file);
  expect(status).toBe(0);
  const report = parseVersus(await readFile(file, 'utf8'), file);
  expect(report.systems.map(({ name }) => name)).toEqual(['mamba', 'time-invariant']);
  expect(report.points).toHaveLength(2 * 2 * 3);
  expect(report.generation).toMatchObject(
    ['mamba', 'transformer'].map((model) => ({ model, batch: 1, prompt: 4, tokens: 2, status: 'measured' })),
  );
  // There is no text for a language model.
  expect(report.tasks).toMatchObject(
    ['induction-heads', 'selective-copying'].map((task) => ({ task, system: 'mamba', status: 'measured' })),
  );
  const shown = stdout.slice(stdout.indexOf('cpu: one block'));
  expect(shown).toContain('A step of training: memory at most');
  expect(shown).toContain('Selective copying: right answers by length');
  expect((await versus(file)).stdout).toContain(shown);
});

it('puts the claims and tables into a document that has a place for them', async () => {
  const document = join(folder, 'page.md');
  await writeFile(document, 'no place');
  expect(await versus(file, '--into', document)).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('has no place for the result'),
  });
  const marks = [
    '<!-- What follows, to the end mark, is made by mamba-bench versus --into. -->',
    '<!-- The end of what is made. -->',
  ];
  await writeFile(document, `before\n${marks[0]}\nobsolete\n${marks[1]}\nafter\n`);
  expect(await versus(file, '--into', document)).toMatchObject({ status: 0 });
  const text = await readFile(document, 'utf8');
  expect(text).toMatch(/^before\n[\s\S]*\nafter\n$/);
  expect(text).not.toContain('obsolete');
  expect(text).toContain('| Mamba without selection |');
  expect(text).toContain('0.93 GiB');
  // The same again changes nothing.
  await versus(file, '--into', document);
  expect(await readFile(document, 'utf8')).toBe(text);
});

it('gives results that compare tells apart', async () => {
  const slower = join(folder, 'slower.json');
  const report = parseVersus(await readFile(file, 'utf8'), file);
  for (const { time } of report.points)
    if (time !== undefined) for (const key of ['median', 'p10', 'p90'] as const) time[key] *= 3;
  const [first] = report.points;
  first!.time!.n = 5;
  await writeFile(slower, JSON.stringify(report));
  const [stdout, stderr] = [new Sink(), new Sink()];
  expect(await runCommand(['compare', file, file], { stdout, stderr, environment: {} })).toBe(0);
  const again = new Sink();
  await runCommand(['compare', file, slower], { stdout: again, stderr, environment: {} });
  expect(again.text).toContain('versus/forward-mamba-length-8-d16');
  expect(again.text).toContain('3.00×');
});

it('refuses files of others and damaged ones', async () => {
  const other = join(folder, 'other.json');
  await writeFile(other, '{"kind":"mamba-bench","schemaVersion":5}');
  expect((await versus(other)).stderr).toContain('mamba-bench versus --json FILE');
  await writeFile(other, '{"kind":"mamba-versus","schemaVersion":9}');
  expect((await versus(other)).stderr).toContain('version');
});
