import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, describe, expect, it } from 'vitest';
import { runCommand } from './program.ts';

const folder = mkdtempSync(join(tmpdir(), 'mamba-kernels-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(...args: readonly string[]) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const status = await runCommand(['kernels', ...args], { stdout, stderr, environment: { NO_COLOR: '1' } });
  const text = (stream: PassThrough): string => String(stream.read() ?? '');
  return { status, out: text(stdout), err: text(stderr) };
}

describe('mamba-bench kernels', () => {
  it('times the kernels of cpu in a mode, beside the limits of the machine', async () => {
    const file = join(folder, 'cpu.json');
    const { status, out } = await run('--quick', '--seconds', '0.1', '--mode', 'plain', '--json', file);
    expect(status).toBe(0);
    expect(out).toContain('scan, 16 states, dim 64, length 64');
    for (const name of ['layerNorm', 'multiply']) expect(out).toContain(`${name} 8 × 64`);
    for (const name of ['attention', 'ssd scan']) expect(out).toContain(`${name} of 2 heads, length 64`);
    for (const name of ['training step, 67520 parameters, 1 × 16', 'linear backward 32 × 64 × 96, 2 threads over 1'])
      expect(out).toContain(name);
    const report = JSON.parse(readFileSync(file, 'utf8'));
    expect(report).toMatchObject({ kind: 'mamba-kernels', backend: 'cpu', kernels: [{ mode: 'plain' }] });
    const [{ rows }] = report.kernels;
    for (const { value, share } of rows) {
      expect(value).toBeGreaterThan(0);
      if (share !== undefined) expect(share).toBeGreaterThan(0);
    }
    expect(rows.filter(({ share }: { share?: number }) => share !== undefined).length).toBeGreaterThan(10);
  });

  it('tells how time grows with length on cpu', async () => {
    const { status, out } = await run('--quick', '--section', 'length');
    expect(status).toBe(0);
    expect(out).toMatch(/selectiveScan, dim 64, 16 states: slope \d\.\d+ over 512 … 2048/);
    expect(out).toMatch(/after 1024 over after 16: \d/);
  });

  it('times the kernels of webgpu by the timestamps of the device', async () => {
    const file = join(folder, 'webgpu.json');
    const { status, out, err } = await run('--backend', 'webgpu', '--quick', '--section', 'conv', '--json', file);
    expect(`${status} ${err}`).toBe('0 ');
    expect(out).toContain('conv');
    const report = JSON.parse(readFileSync(file, 'utf8'));
    expect(report.rows).toMatchObject([{ name: 'conv', microseconds: expect.any(Number), batch: 1, length: 64 }]);
    expect(report.rows[0].microseconds).toBeGreaterThan(0);
  });

  it('times the backward scan on webgpu, beside the forward one and by dispatch', async () => {
    const layout = ['--backward-layout', '1:1:16:4:4:0:0:16:32'];
    const { status, out, err } = await run('--backend', 'webgpu', '--quick', '--section', 'scan-backward', ...layout);
    expect(`${status} ${err}`).toBe('0 ');
    for (const name of ['scan backward rule', 'scan backward 1:1:16:4:4:0:0:16:32']) expect(out).toContain(name);
    for (const figure of ['GB/s', 'forwards', 'states', 'carry', 'main', 'sums']) expect(out).toContain(`  ${figure} `);
  });

  it("times attention and Mamba-2's scan on webgpu, once they agree with the reference", async () => {
    const sections = ['--section', 'attention', 'ssd-scan', '--precision', 'float32'];
    const { status, out, err } = await run('--backend', 'webgpu', '--quick', ...sections);
    expect(`${status} ${err}`).toBe('0 ');
    for (const name of ['largest error', 'forward', 'backward', 'step'])
      expect(out).toContain(`attention float32: ${name}`);
    for (const name of ['ssd scan: largest error', 'ssd scan ', 'ssd scan backward']) expect(out).toContain(name);
  });

  it('times decoding in batches on webgpu, and compares its ids with those of a row alone', async () => {
    const sections = ['--section', 'batches', '--precision', 'float32'];
    const { status, out, err } = await run('--backend', 'webgpu', '--quick', ...sections);
    expect(`${status} ${err}`).toBe('0 ');
    expect(out).toMatch(/decode mamba-130m float16 float32 .* batch 17 .* same ids as alone yes/);
    expect(out).toContain('label decode-conv');
  });

  it('times Transformers and a hybrid on webgpu, where they choose the tokens of their compositions', async () => {
    const { status, out, err } = await run('--backend', 'webgpu', '--quick', '--section', 'transformer');
    expect(`${status} ${err}`).toBe('0 ');
    for (const model of ['transformer', 'gpt-2', 'gpt-neox', 'hybrid'])
      for (const name of ['prefill', 'decode']) expect(out).toContain(`${name} ${model} 130m float16, composed`);
    expect(out).toContain('label attention-place');
  });

  it('times whole steps of training on webgpu, which have the same losses plain and captured', async () => {
    const file = join(folder, 'training.json');
    const sections = ['--section', 'training', '--precision', 'float32', '--json', file];
    const { status, err } = await run('--backend', 'webgpu', '--quick', ...sections);
    expect(`${status} ${err}`).toBe('0 ');
    const [plain, captured] = JSON.parse(readFileSync(file, 'utf8')).rows;
    const shape = { batch: 2, length: 16, matrixPrecision: 'float32' };
    expect(plain).toMatchObject({ name: 'train induction-heads plain', ...shape });
    expect(captured).toMatchObject({ name: 'train induction-heads captured', ...shape, loss: plain.loss });
    for (const row of [plain, captured]) expect(row['tokens/s']).toBeCloseTo(32e6 / row.microseconds);
    // Parameters, gradients and both moments, of 67,520 floats each.
    expect(plain['GB at most']).toBeGreaterThan(4 * 4 * 67_520e-9);
  });

  it('times the gradients of products on webgpu', async () => {
    const { status, out, err } = await run('--backend', 'webgpu', '--quick', '--section', 'linear-backward');
    expect(`${status} ${err}`).toBe('0 ');
    for (const name of ['linear backward, x', 'linear backward, weight']) expect(out).toContain(name);
  });

  it('times products on webgpu by the rule and in forced tiles, and their parts apart', async () => {
    const product = ['--section', 'linear', '--product', '9x96x80', '--tiles', '64:1,64:3', '--precision', 'float32'];
    const { status, out, err } = await run('--backend', 'webgpu', '--quick', ...product, '--dtype', 'float16');
    expect(`${status} ${err}`).toBe('0 ');
    const lines = out.trim().split('\n');
    expect(lines.map((line) => /tiles (\S+)/.exec(line)?.[1])).toEqual(['rule', '64:1', '64:3']);
    for (const line of lines) expect(line).toMatch(/^linear float16 .* rows 9 {2}inputs 96 {2}outputs 80 .* GB\/s/);
    expect(lines[2]).toMatch(/ linear \S+ {2}linear-sum \S+$/);
    expect(lines[1]).not.toContain('linear-sum');
  });

  it('times small operations on webgpu, and leaves each row in the file before it is printed', async () => {
    const file = join(folder, 'small.json');
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const kept: boolean[] = [];
    const write = stdout.write.bind(stdout) as (line: string) => boolean;
    stdout.write = (line: string) => {
      const { rows } = JSON.parse(readFileSync(file, 'utf8')) as { rows: readonly { name: string }[] };
      kept.push(line.startsWith(rows.at(-1)!.name));
      return write(line);
    };
    const args = ['kernels', '--backend', 'webgpu', '--quick', '--json', file, '--section', 'small', 'sample'];
    const status = await runCommand(args, { stdout, stderr, environment: { NO_COLOR: '1' } });
    const [out, err] = [stdout, stderr].map((stream) => String(stream.read() ?? ''));
    expect(`${status} ${err}`).toBe('0 ');
    expect(kept.length).toBeGreaterThan(5);
    expect(kept).not.toContain(false);
    for (const name of ['rmsNorm', 'layerNorm', 'add', 'multiply', 'multiply with SiLU']) expect(out).toContain(name);
    for (const name of ['largest difference  ', 'sample, topK 50, topP 0.95']) expect(out).toContain(name);
  });

  it.each([
    [['--section', 'conv'], 'there is no section of cpu "conv"'],
    [['--backend', 'webgpu', '--section', 'length'], 'there is no section of webgpu "length"'],
    [['--backend', 'reference'], 'Allowed choices are cpu, webgpu'],
    [['--shape', '1x2'], '"1x2" is not of the form 1x512x2048'],
    [['--product', '1x2'], '"1x2" is not of the form 64x768x50280'],
    [['--tiles', '32:1'], '"32:1" is not of the form 64:2'],
    [['--backward-layout', '4:64'], '"4:64" is not of the form 4:1:64:16:16:3:0:16:512'],
    [['--seconds', '0'], '"0" is not a positive number'],
  ])('refuses %j', async (args, message) => {
    const { status, err } = await run(...args);
    expect(status).toBe(2);
    expect(err).toContain(message);
  });
});
