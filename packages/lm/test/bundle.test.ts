/** The library, hub and worker included, can be bundled for browsers without modules of Node. */
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { expect, test } from 'vitest';

test('esbuild bundles the package for browsers without a warning', { timeout: 0 }, async () => {
  const entries = ['@mamba/lm', '@mamba/lm/hub', '@mamba/lm/worker'];
  const { warnings, metafile } = await build({
    stdin: {
      contents: entries.map((entry) => `export * from '${entry}';`).join('\n'),
      resolveDir: fileURLToPath(new URL('.', import.meta.url)),
    },
    bundle: true,
    // Without the workspace's tsconfig, whose paths lead to sources: as in an installed package.
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
