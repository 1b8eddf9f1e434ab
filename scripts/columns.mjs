// node scripts/columns.mjs: comments have 120 columns, as code has. The formatter keeps code to them and leaves
// comments alone; shaders and AssemblyScript have no formatter, so all their lines are counted.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { filesIn, root } from './lib.mjs';

const COLUMNS = 120;
const SOURCE = /\.(ts|mjs|js|wgsl|css|sh)$/;
const FORMATTED = /^(?!packages\/cpu\/assembly\/).*\.(ts|mjs|js|css)$/;
const COMMENT = /^\s*(\/\/|\/?\*)|\s\/\/\s/;

const long = filesIn('')
  .filter((file) => SOURCE.test(file))
  .flatMap((file) =>
    readFileSync(join(root, file), 'utf8')
      .split('\n')
      .flatMap((line, index) => {
        const counted = !FORMATTED.test(file) || COMMENT.test(line);
        return counted && [...line].length > COLUMNS ? [`${file}:${index + 1}: ${[...line].length} columns`] : [];
      }),
  );

if (long.length > 0) {
  console.error(`${long.join('\n')}\nthese lines are longer than ${COLUMNS} columns: break them`);
  process.exitCode = 1;
}
