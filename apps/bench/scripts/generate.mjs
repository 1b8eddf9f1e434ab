// Compiles assembly/ceilings.ts to WebAssembly and writes it as a module of base64 text: src/generated/ceilings.ts.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { error, stdout, stderr } = await asc.main(
  ['ceilings.ts', '--baseDir', join(root, 'assembly'), '--outFile', 'ceilings.wasm'].concat([
    '--runtime',
    'stub',
    '--enable',
    'simd',
    '-O3',
    '--noAssert',
  ]),
  { writeFile: (name, contents) => write(name, contents) },
);
if (error) {
  console.error(stderr.toString() || stdout.toString() || error.message);
  process.exitCode = 1;
}

function write(name, contents) {
  if (!name.endsWith('.wasm')) return;
  const folder = join(root, 'src', 'generated');
  mkdirSync(folder, { recursive: true });
  const text = Buffer.from(contents).toString('base64');
  writeFileSync(
    join(folder, 'ceilings.ts'),
    `// Generated from assembly/ceilings.ts by scripts/generate.mjs.\nexport const ceilingsBase64 =\n  '${text}';\n`,
  );
}

// The versions of what is measured, so that a browser knows them too.
const versions = Object.fromEntries(
  ['apps/bench', 'packages/core', 'packages/cpu', 'packages/reference', 'packages/webgpu'].map((path) => {
    const { name, version } = JSON.parse(readFileSync(join(root, '..', '..', path, 'package.json'), 'utf8'));
    return [name, version];
  }),
);
mkdirSync(join(root, 'src', 'generated'), { recursive: true });
writeFileSync(
  join(root, 'src', 'generated', 'versions.ts'),
  `// Generated from the packages' manifests by scripts/generate.mjs.\nexport const versions: Readonly<Record<string, string>> = ${JSON.stringify(versions, null, 2)};\n`,
);
