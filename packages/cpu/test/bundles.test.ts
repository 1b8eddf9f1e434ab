/**
 * Bundled by esbuild, the backend keeps its threads, and esbuild gives no warning: the worker is inlined, and Node's
 * modules are asked for by name.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterAll, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'mamba-cpu-bundles-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const script = `
  import { cpu } from '@mamba/cpu';
  cpu({ threads: 3 }).create().then(async (backend) => {
    console.log(backend.details.threads);
    await backend.dispose();
  });`;

const bundle = (options: {
  readonly platform: 'browser' | 'node';
  readonly format: 'esm' | 'cjs' | 'iife';
  readonly outfile: string;
}) =>
  build({
    stdin: { contents: script, resolveDir: fileURLToPath(new URL('.', import.meta.url)) },
    bundle: true,
    logLevel: 'silent',
    ...options,
  });

for (const [platform, format] of [
  ['node', 'esm'],
  ['node', 'cjs'],
  // A bundle for browsers runs in every host.
  ['browser', 'iife'],
] as const) {
  test(`for ${platform}, as ${format}`, { timeout: 0 }, async () => {
    const outfile = join(folder, `${platform}-${format}.${format === 'esm' ? 'mjs' : 'cjs'}`);
    const { warnings } = await bundle({ platform, format, outfile });
    expect(warnings).toEqual([]);
    const { stdout } = await promisify(execFile)(process.execPath, [outfile]);
    expect(stdout.trim()).toBe('3');
  });
}

test('split, a bundle loads the one build of the kernels that it runs', async () => {
  const { outputFiles, metafile } = await build({
    stdin: { contents: script, resolveDir: fileURLToPath(new URL('.', import.meta.url)) },
    bundle: true,
    splitting: true,
    format: 'esm',
    outdir: folder,
    write: false,
    metafile: true,
  });
  const entry = outputFiles.find(({ path }) => path.endsWith('stdin.js'))!;
  expect(entry.contents.length).toBeLessThan(300_000);
  const builds = Object.values(metafile.outputs).flatMap(({ inputs }) => [Object.keys(inputs).join()]);
  for (const name of ['simd', 'relaxed'])
    expect(builds.filter((inputs) => inputs.endsWith(`generated/${name}.js`) && !inputs.includes(','))).toHaveLength(1);
});
