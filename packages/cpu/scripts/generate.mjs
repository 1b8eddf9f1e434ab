// Compiles assembly/ to WebAssembly and writes src/generated/: the modules themselves, their bytes as base64 in
// TypeScript modules, and what host code must know of them (see interface.mjs). The worker is written as a file and as
// a text as well.
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';
import ts from 'typescript-api';
import { interfaces } from './interface.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const output = join(root, 'src', 'generated');

/**
 * One module for each set of features; `create` takes the best that the engine validates. Both import a shared memory;
 * src/wasm/load.ts makes it an unshared one where there is a single thread.
 */
const builds = {
  simd: ['--enable', 'simd'],
  relaxed: ['--enable', 'simd', '--enable', 'relaxed-simd'],
};
const common = ['-O3', '--noAssert', '--runtime', 'stub', '--importMemory'];
const shared = ['--enable', 'threads', '--sharedMemory', '--maximumMemory', '65536'];

/**
 * A file as the compiler gets it: a function whose doc comment says `@inline` has the decorator of that name.
 * TypeScript, and so every editor, refuses decorators of functions; lines stay where they are.
 */
async function readSource(name, folder) {
  const file = join(folder, name);
  if (!existsSync(file)) return null;
  const text = await readFile(file, 'utf8');
  return text.replace(/@inline\s*\*\/\n(?=(export )?function )/g, '$&@inline ');
}

await mkdir(output, { recursive: true });
for (const [name, text] of Object.entries(interfaces(join(root, 'assembly'))))
  await writeFile(join(output, name), text);
for (const [name, features] of Object.entries(builds)) {
  const file = join(output, `${name}.wasm`);
  const { error } = await asc.main(
    ['assembly/index.ts', '--baseDir', root, ...common, ...shared, ...features, '--outFile', relative(root, file)],
    { stdout: process.stdout, stderr: process.stderr, readFile: readSource },
  );
  if (error) {
    console.error(error.message);
    process.exit(1);
  }
  const bytes = await readFile(file);
  const source = `// Made by scripts/generate.mjs of assembly/.\nexport const ${name}: string =\n  '${bytes.toString('base64')}';\n`;
  await writeFile(join(output, `${name}.ts`), source);
  console.log(`${name}.wasm: ${bytes.length} bytes`);
}

const worker = await readFile(join(root, 'src', 'threads', 'worker.ts'), 'utf8');
const { outputText } = ts.transpileModule(worker, {
  compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, removeComments: true },
});
// The compiler leaves an empty export of the type imports, which a classic script may not have.
const script = `{\n${outputText.replace('export {};', '').trim()}\n}\n`;
if (/\b(import|export)\b/.test(script.replace('const { exports }', ''))) {
  console.error('src/threads/worker.ts must import and export nothing but types');
  process.exit(1);
}
await writeFile(join(output, 'worker.js'), `// Made by scripts/generate.mjs of src/threads/worker.ts.\n${script}`);
await writeFile(
  join(output, 'worker-source.ts'),
  `// Made by scripts/generate.mjs of src/threads/worker.ts.\nexport const workerSource: string = ${JSON.stringify(script)};\n`,
);
console.log(`worker.js: ${script.length} bytes`);
