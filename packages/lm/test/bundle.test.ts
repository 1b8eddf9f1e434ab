/** A bundle for browsers takes the library, hub and worker included, without a module of Node's. */
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { expect, test } from 'vitest';

test('esbuild builds it for browsers, without a warning', { timeout: 0 }, async () => {
  const entries = ['@mamba/lm', '@mamba/lm/hub', '@mamba/lm/worker'];
  const { warnings, metafile } = await build({
    stdin: {
      contents: entries.map((entry) => `export * from '${entry}';`).join('\n'),
      resolveDir: fileURLToPath(new URL('.', import.meta.url)),
    },
    bundle: true,
    // As installed: the workspace's own paths lead to sources.
    tsconfigRaw: {},
    platform: 'browser',
    format: 'esm',
    splitting: true,
    outdir: 'nowhere',
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  expect(warnings).toEqual([]);
  const inputs = Object.keys(metafile.inputs);
  expect(
    inputs.filter((path) => /node-|\/(server|cli)\/|hono|zod|commander/.test(path.split('packages/').pop()!)),
  ).toEqual([]);
});
