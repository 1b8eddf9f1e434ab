// What is said stays true: every file that Markdown or a comment names is there.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { filesIn, root } from './lib.mjs';

const files = filesIn('');
const documents = files.filter((file) => file.endsWith('.md'));
const sources = files.filter((file) => /\.(ts|mjs|js|wgsl|sh)$/.test(file));

/** What is made by a build, and so is not in the repository. */
const MADE = /(^|\/)(dist|node_modules|generated|\.gpu)(\/|$)/;
/** A file in a folder, with an ending that this repository uses. */
const PATH = /^(?:\.{0,2}\/)?(?:[\w@.-]+\/)+(?:[\w@.-]+\.(?:ts|mjs|js|json|md|wgsl|sh|html|css|safetensors))$/;

/**
 * Where a path may begin: beside the file, in its package and the folders of that, at the root, or anywhere as an
 * ending.
 */
function exists(path, from) {
  // What begins with ./ in words is a file of the reader's own, and what begins with @ is in a package.
  if (/^(\.\/|@)/.test(path) || MADE.test(path)) return true;
  const plain = normalize(path);
  if (existsSync(join(root, dirname(from), plain)) || existsSync(join(root, plain))) return true;
  return files.some((file) => file === plain || file.endsWith(`/${plain}`));
}

const targetsOf = (text) =>
  [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target)
    .filter((target) => !/^(?:[a-z]+:|#)/.test(target))
    .map((target) => decodeURIComponent(target.split('#')[0]));

const namedIn = (text) =>
  [...text.matchAll(/(?<![\w/@.:-])((?:\.{0,2}\/)?(?:[\w@.-]+\/)+[\w@.-]+)/g)]
    .map(([, path]) => path)
    .filter((path) => PATH.test(path));

/** Comments alone: code names modules that the compiler looks up. */
const commentsOf = (text) =>
  [...text.matchAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm)].map(([comment]) => comment).join('\n');

describe('in Markdown', () => {
  test.each(documents)('%s links to what is there', (file) => {
    const text = readFileSync(join(root, file), 'utf8');
    expect(targetsOf(text).filter((target) => !existsSync(join(root, dirname(file), target)))).toEqual([]);
  });

  test.each(documents)('%s names files that are there', (file) => {
    const text = readFileSync(join(root, file), 'utf8');
    const quoted = [...text.matchAll(/`([^`\n]+)`/g)].flatMap(([, code]) => namedIn(code));
    expect(quoted.filter((path) => !exists(path, file))).toEqual([]);
  });
});

test('comments name files that are there', () => {
  const wrong = sources.flatMap((file) =>
    namedIn(commentsOf(readFileSync(join(root, file), 'utf8')))
      .filter((path) => !exists(path, file))
      .map((path) => `${file}: ${path}`),
  );
  expect(wrong).toEqual([]);
});
