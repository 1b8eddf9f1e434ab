// The first step of a package's build: tsc writes declarations with their comments, and then JavaScript without
// comments. The sources have them, and are packed; source maps lead there from every line of JavaScript. tsc maps every
// word, which would be a fifth of a package's bytes; only the first word of each source line is kept.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { decode, encode } from '@jridgewell/sourcemap-codec';
import { binFolder, runOrExit } from './lib.mjs';

const folder = process.cwd();
const tsc = (...flags) => runOrExit(join(binFolder, 'tsc'), ['-p', join(folder, 'tsconfig.build.json'), ...flags]);

tsc('--emitDeclarationOnly');
tsc('--declaration', 'false', '--declarationMap', 'false', '--removeComments', '--noCheck');
for (const name of readdirSync(join(folder, 'dist'), { recursive: true })) {
  if (!name.endsWith('.js.map')) continue;
  const file = join(folder, 'dist', name);
  const map = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify({ ...map, mappings: encode(decode(map.mappings).map(firstOfEachLine)) }));
}

/** Segments are [column, source, line of the source, column of the source]. */
function firstOfEachLine(segments) {
  return segments.filter(([, source, line], at) => {
    const before = segments[at - 1];
    return before === undefined || source !== before[1] || line !== before[2];
  });
}
