/** The package of a new backend is generated, type-checked, and held to the suite by its own test file. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { isMambaError } from '@mamba/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeTemplate } from '../src/template/write-template.ts';

const MODULES = fileURLToPath(new URL('../../../node_modules/', import.meta.url));

/** The trained models, which take half of the suite's time, and compute nothing that the small ones do not. */
const TRAINED = '^(?!.*checkpoint/(induction-heads|kjv-mamba))';

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly title: string; readonly status: string }[];
  }[];
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mamba-template-'));
  // What `npm install` would bring.
  await symlink(MODULES, join(folder, 'node_modules'), 'junction');
  // The root of a clone has settings of its own, which the package must not take.
  await writeFile(join(folder, 'vitest.config.mjs'), "export default { test: { include: ['none'] } };");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the generated package', () => {
  const run = (command: string, ...args: string[]) =>
    promisify(execFile)(process.execPath, [join(MODULES, command), ...args], { cwd: join(folder, 'gpu-one') });

  beforeAll(async () => {
    await writeTemplate(join(folder, 'gpu-one'), '1.2.3');
  });

  test('is called as its folder is, and takes packages of one version', async () => {
    const read = (file: string) => readFile(join(folder, 'gpu-one', file), 'utf8');
    const { name, dependencies } = JSON.parse(await read('package.json'));
    expect({ name, dependencies }).toEqual({
      name: 'mamba-backend-gpu-one',
      dependencies: { '@mamba/core': '^1.2.3' },
    });
    expect(await read('src/index.ts')).toContain(
      "export function gpuOne(): BackendProvider {\n  return { name: 'gpu-one'",
    );
    expect(await read('test/conformance.test.ts')).toContain('describeConformance(gpuOne())');
  });

  test('builds', async () => {
    await run('typescript/bin/tsc');
    expect(await readFile(join(folder, 'gpu-one/dist/index.d.ts'), 'utf8')).toContain('gpuOne(): BackendProvider');
  });

  test('passes the suite', async () => {
    await run('vitest/vitest.mjs', 'run', '-t', TRAINED, '--reporter=json', '--outputFile=report.json');
    const report = JSON.parse(await readFile(join(folder, 'gpu-one/report.json'), 'utf8')) as VitestReport;
    expect(report.numFailedTests).toBe(0);
    expect(report.numPassedTests).toBeGreaterThan(1000);
    const results = report.testResults.flatMap(({ assertionResults }) => assertionResults);
    const statusOf = (id: string) => results.find(({ title }) => title === id)?.status;
    expect(statusOf('checkpoint/mamba-tiny')).toBe('passed');
    // A mixer that a backend may lack.
    expect(statusOf('checkpoint/llama-gradients')).toBe('skipped');
  });
});

test.each(['New', 'new', 'await', '2nd', 'a_b', 'a-'])('a folder named %s cannot name a backend', async (name) => {
  const error: unknown = await writeTemplate(join(folder, name), '1.2.3').catch((cause: unknown) => cause);
  expect(isMambaError(error, 'invalid-argument'), String(error)).toBe(true);
});

test('a folder that holds files is left alone', async () => {
  await mkdir(join(folder, 'full'));
  await writeFile(join(folder, 'full/package.json'), 'precious');
  await expect(writeTemplate(join(folder, 'full'), '1.2.3')).rejects.toThrow('a folder that is new or empty');
  expect(await readFile(join(folder, 'full/package.json'), 'utf8')).toBe('precious');
});
