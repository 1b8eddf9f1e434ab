// Compiles assembly/ceilings.ts to WebAssembly, plain and relaxed, and writes both as base64 text to
// src/generated/ceilings.ts.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const builds = { simd: ['--enable', 'simd'], relaxed: ['--enable', 'simd', '--enable', 'relaxed-simd'] };
const compiled = {};
for (const [name, features] of Object.entries(builds)) {
  const { error, stdout, stderr } = await asc.main(
    ['ceilings.ts', '--baseDir', join(root, 'assembly'), '--outFile', 'ceilings.wasm', '--runtime', 'stub'].concat(
      features,
      ['-O3', '--noAssert'],
    ),
    {
      writeFile(file, contents) {
        if (file.endsWith('.wasm')) compiled[name] = Buffer.from(contents).toString('base64');
      },
    },
  );
  if (error) {
    console.error(stderr.toString() || stdout.toString() || error.message);
    process.exit(1);
  }
}
mkdirSync(join(root, 'src', 'generated'), { recursive: true });
writeFileSync(
  join(root, 'src', 'generated', 'ceilings.ts'),
  `// Generated from assembly/ceilings.ts by scripts/generate.mjs.\nexport const ceilingsBase64 = ${JSON.stringify(compiled, null, 2)} as const;\n`,
);

// The versions of the measured packages, so that a browser knows them too.
const versions = Object.fromEntries(
  ['apps/bench', 'packages/core', 'packages/cpu', 'packages/reference', 'packages/webgpu'].map((path) => {
    const { name, version } = JSON.parse(readFileSync(join(root, '..', '..', path, 'package.json'), 'utf8'));
    return [name, version];
  }),
);
writeFileSync(
  join(root, 'src', 'generated', 'versions.ts'),
  `// Generated from the packages' manifests by scripts/generate.mjs.\nexport const versions: Readonly<Record<string, string>> = ${JSON.stringify(versions, null, 2)};\n`,
);
