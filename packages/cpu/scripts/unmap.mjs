// Part of the build: takes the source maps of the inlined kernels away, which would map one long text to another. So
// the package can leave their sources out (see `files` in package.json).
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist', 'generated');
for (const name of ['simd', 'relaxed']) {
  for (const ending of ['js', 'd.ts']) {
    const file = join(folder, `${name}.${ending}`);
    writeFileSync(file, readFileSync(file, 'utf8').replace(/\n\/\/# sourceMappingURL=.*/, '\n'));
    rmSync(`${file}.map`, { force: true });
  }
}
