// node scripts/columns.mjs: comments and Markdown have 120 columns, as code has. The formatter keeps code to them and
// leaves comments alone; shaders and AssemblyScript have no formatter, so all their lines are counted. Changelogs are
// written by changesets, which indents what was within the columns.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { filesIn, root } from './lib.mjs';

const COLUMNS = 120;
const SOURCE = /\.(ts|mjs|js|wgsl|css|sh)$/;
const FORMATTED = /^(?!packages\/cpu\/assembly\/).*\.(ts|mjs|js|css)$/;
const COMMENT = /^\s*(\/\/|\/?\*)|\s\/\/\s/;

/** The lines of a file that are counted, each with its number. */
function counted(file) {
  const lines = readFileSync(join(root, file), 'utf8')
    .split('\n')
    .map((line, index) => ({ line, number: index + 1 }));
  if (file.endsWith('.md')) return prose(lines);
  return lines.filter(({ line }) => !FORMATTED.test(file) || COMMENT.test(line));
}

/** Lines of Markdown that can be broken: no tables, headings or code. */
function prose(lines) {
  let fence;
  return lines.filter(({ line }) => {
    const [, mark] = line.match(/^\s*(`{3,}|~{3,})/) ?? [];
    if (fence !== undefined) {
      if (mark?.startsWith(fence)) fence = undefined;
      return false;
    }
    fence = mark;
    return mark === undefined && !/^\s*(\||#)/.test(line) && breaks(line);
  });
}

/** Whether a line has a space to break at within the columns; those of a link or of quoted code are none. */
function breaks(line) {
  const whole = line
    .replace(/^\s*(?:[-*+>]\s+|\d+[.)]\s+)*/, (start) => 'x'.repeat(start.length))
    .replace(/(`+)(?:(?!\1).)+\1|!?\[[^\]]*\]\([^)]*\)/g, (text) => 'x'.repeat(text.length));
  return /\s/.test(whole.slice(0, COLUMNS + 1));
}

const long = filesIn('')
  .filter((file) => SOURCE.test(file) || (file.endsWith('.md') && !file.endsWith('/CHANGELOG.md')))
  .flatMap((file) =>
    counted(file)
      .map(({ line, number }) => ({ number, length: [...line].length }))
      .filter(({ length }) => length > COLUMNS)
      .map(({ number, length }) => `${file}:${number}: ${length} columns`),
  );

if (long.length > 0) {
  console.error(`${long.join('\n')}\nthese lines are longer than ${COLUMNS} columns: break them`);
  process.exitCode = 1;
}
