import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openFile, openSafetensors, writeSafetensors } from '@mamba/checkpoint';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { meanLoss } from './loss.ts';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const COMMAND = at('../bin/mamba-conformance.js');
const SCANS = at('../fixtures/scan-golden.safetensors');
const TINY = at('../fixtures/mamba-tiny');

interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(...args: string[]): Promise<Output> {
  const env = { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined };
  return new Promise((resolve) => {
    execFile(process.execPath, [COMMAND, ...args], { env, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mamba-conformance-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('mamba-conformance', { timeout: 0 }, () => {
  test('prints JSON of golden files and checkpoints, and nothing else', async () => {
    const { code, stdout, stderr } = await run(
      '--backend',
      'reference',
      '--golden',
      SCANS,
      '--checkpoint',
      TINY,
      '--json',
    );
    expect([code, stderr]).toEqual([0, '']);
    const report = JSON.parse(stdout);
    expect(Object.keys(report)).toEqual(['backend', 'results', 'passed', 'failed']);
    expect(report).toMatchObject({ backend: 'reference', failed: 0, passed: report.results.length });
    for (const result of report.results) {
      expect(Object.keys(result)).toEqual([
        'source',
        'case',
        'tensor',
        'maxAbsError',
        'scale',
        'relativeError',
        'tolerance',
        'pass',
      ]);
    }
    const named = (source: string, name: string, tensor: string) =>
      report.results.filter(
        (result: Record<string, unknown>) =>
          result.source === source && result.case === name && result.tensor === tensor,
      ).length;
    expect(named(SCANS, 'len4096_nograd', 'out.y')).toBe(1);
    expect(named(SCANS, 'initial_state', 'grad.initial_state')).toBe(1);
    expect(named(TINY, 'mamba-tiny', 'logits')).toBe(1);
    expect(named(TINY, 'mamba-tiny', 'greedy_ids')).toBe(1);
  });

  test('prints a table of 80 columns', async () => {
    const { code, stdout } = await run('--backend', 'reference', '--golden', SCANS, '--checkpoint', TINY);
    expect(code).toBe(0);
    expect(stdout).toMatch(/✓ out\.y +43/);
    expect(stdout).toMatch(/^golden: results are those of other implementations.*\ncheckpoint: trained models/m);
    expect(stdout).not.toContain('invariants:');
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test('exits with 1 where a backend is wrong, named by a path', async () => {
    const { code, stdout, stderr } = await run('--backend', at('./broken-backend.js'), '--golden', SCANS, '--json');
    expect(code).toBe(1);
    const report = JSON.parse(stdout);
    expect(report.backend).toBe('broken');
    expect(report.failed).toBeGreaterThan(10);
    expect(report.passed + report.failed).toBe(report.results.length);
    expect(stderr).toContain('opt_D1z0bias0sp0');
  });

  test('a damaged golden file fails by itself, and the rest is checked', async () => {
    const path = join(folder, 'cut.safetensors');
    await writeFile(path, (await readFile(SCANS)).subarray(0, 5000));
    const { code, stdout, stderr } = await run(
      '--backend',
      'reference',
      '--golden',
      path,
      '--checkpoint',
      TINY,
      '--json',
    );
    expect(code).toBe(1);
    const report = JSON.parse(stdout);
    expect(report.failed).toBe(1);
    expect(report.passed).toBeGreaterThan(5);
    expect(stderr).toContain('It is cut off, or not safetensors');
    expect(stderr).not.toContain('    at ');
  });

  test.each([
    [
      'a missing checkpoint',
      1,
      ['--backend', 'reference', '--checkpoint', '/nowhere/at/all'],
      'no expected.safetensors',
    ],
    ['a missing golden file', 1, ['--backend', 'reference', '--golden', '/nowhere/at/all'], 'no such file'],
    ['a missing backend', 2, ['--backend', 'nonesuch'], 'no module @mamba/nonesuch'],
    ['no backend', 2, [], '--backend is missing'],
    ['a filter without a match', 2, ['--backend', 'reference', '--filter', 'nonesuch'], 'nonesuch'],
    ['a module without a backend', 2, ['--backend', at('./nothing.js')], 'exports no backend'],
    ['the section of the code', 2, ['--backend', 'nonesuch'], '\nsee docs/errors.md#unavailable\n'],
    ['an unknown option', 2, ['--nonesuch'], 'unknown option'],
  ])('%s is told in words', async (_, status, args, words) => {
    const { code, stdout, stderr } = await run(...args);
    expect(code).toBe(status);
    expect(stdout + stderr).toContain(words);
    expect(stdout + stderr).not.toContain('    at ');
  });

  test('what is skipped is listed, and fails where all was to be checked', async () => {
    const path = join(folder, 'other.safetensors');
    const y = { dtype: 'float32', shape: [1], data: Float32Array.of(1) } as const;
    await writeFile(path, writeSafetensors([['cell/out.y', y]], [['cases', '{"cell":{"op":"elman"}}']]));
    const lenient = await run('--backend', 'reference', '--golden', path);
    expect(lenient).toMatchObject({ code: 0, stdout: expect.stringContaining('this suite knows no operation elman') });
    expect(lenient.stdout).toContain('nothing was checked');
    const strict = await run('--backend', 'reference', '--golden', path, '--strict');
    expect(strict).toMatchObject({ code: 1, stdout: expect.stringContaining('golden/other/cell') });
  });

  test('logits and a loss are enough, and gradients that belong to no parameter or to too few fail', async () => {
    const path = join(folder, 'family');
    await cp(TINY, path, { recursive: true });
    const expected = await openSafetensors(await openFile(join(TINY, 'expected.safetensors')));
    const [ids, logits] = [await expected.read('input_ids'), await expected.read('logits')];
    await expected.close();
    const loss = { dtype: 'float64', shape: [1], data: new Float64Array(1) } as const;
    loss.data[0] = meanLoss(ids.data, logits.data, logits.shape);
    const tensors = Object.entries({ input_ids: ids, logits, loss });
    await writeFile(join(path, 'expected.safetensors'), writeSafetensors(tensors));
    const alone = await run('--backend', 'reference', '--checkpoint', path);
    expect(alone).toMatchObject({ code: 0, stdout: expect.stringContaining('2 comparisons passed') });
    await writeFile(join(path, 'gradients.safetensors'), writeSafetensors([['backbone.other', loss]]));
    const wrong = await run('--backend', 'reference', '--checkpoint', path);
    expect(wrong.code).toBe(1);
    expect(wrong.stdout).toContain('grad.backbone.other: is the gradient of no parameter');
    expect(wrong.stdout).toContain('grad.backbone.norm_f.weight: is missing from');
  });

  test('takes the compositions of a module, and refuses a module that has none', async () => {
    const golden = join(folder, 'composed.safetensors');
    const tensors = Object.fromEntries(
      ['in.x', 'out.y'].map((name, index) => [
        `double/${name}`,
        { dtype: 'float32' as const, shape: [2], data: Float32Array.of(3 + 3 * index, 5 + 5 * index) },
      ]),
    );
    await writeFile(
      golden,
      writeSafetensors(Object.entries(tensors), [['cases', JSON.stringify({ double: { op: 'double' } })]]),
    );
    const module = join(folder, 'compositions.js');
    await writeFile(
      module,
      `export const goldenCompositions = {
        double: { required: ['x'], compute: (backend, { x }) => ({ y: backend.add(x, x) }) },
      };`,
    );
    const checked = await run('--backend', 'reference', '--golden', golden, '--compositions', module, '--strict');
    expect([checked.code, checked.stderr]).toEqual([0, '']);
    const refused = await run('--backend', 'reference', '--golden', golden, '--compositions', at('nothing.js'));
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('expected a module with the export goldenCompositions');
  });

  test('lists ids and filters by them', async () => {
    const { code, stdout } = await run('--list', '--filter', 'selective-scan/softplus-');
    expect(code).toBe(0);
    expect(stdout.trim().split('\n')).toEqual([
      'selective-scan/softplus-threshold',
      'selective-scan/softplus-negative',
      'selective-scan/softplus-very-negative',
    ]);
    const fixtures = ['--fixtures', at('../fixtures'), '--filter', 'golden/'];
    expect((await run('--list', ...fixtures)).stdout).toMatch(/^golden\/scan-golden/);
    expect((await run('--backend', 'reference', '--filter', 'selective-scan/softplus-')).stdout).toContain('all pass');
  });
});
