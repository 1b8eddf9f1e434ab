// Compiles assembly/ to WebAssembly and writes src/generated/: the module itself, and its bytes as base64 in a TypeScript module.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const output = join(root, 'src', 'generated');

/** One module for each set of features; `create` takes the best that the engine validates. */
const builds = { simd: ['--enable', 'simd'] };
const common = ['-O3', '--noAssert', '--runtime', 'stub', '--importMemory'];

await mkdir(output, { recursive: true });
for (const [name, features] of Object.entries(builds)) {
  const file = join(output, `${name}.wasm`);
  const { error } = await asc.main(
    ['assembly/index.ts', '--baseDir', root, ...common, ...features, '--outFile', relative(root, file)],
    { stdout: process.stdout, stderr: process.stderr },
  );
  if (error) {
    console.error(error.message);
    process.exit(1);
  }
  const bytes = await readFile(file);
  const source = `// Made by scripts/generate.mjs of assembly/.\nexport const ${name} =\n  '${bytes.toString('base64')}';\n`;
  await writeFile(join(output, `${name}.ts`), source);
  console.log(`${name}.wasm: ${bytes.length} bytes`);
}
