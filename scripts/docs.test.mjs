// Documents and comments stay true: every file and every symbol that they name exists.
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { filesIn, root } from './lib.mjs';

const files = filesIn('');
/** All Markdown but changelogs, which name what was there when a version was released. */
const documents = files.filter((file) => file.endsWith('.md') && !file.endsWith('/CHANGELOG.md'));
const sources = files.filter((file) => /\.(tsx?|mjs|js|wgsl|sh)$/.test(file));

/** Folders that a build makes, which are not in the repository. */
const MADE = /(^|\/)(dist|node_modules|generated|\.gpu)(\/|$)/;
/** A file in a folder, with an ending that this repository uses. */
const PATH = /^(?:\.{0,2}\/)?(?:[\w@.-]+\/)+(?:[\w@.-]+\.(?:ts|mjs|js|json|md|wgsl|sh|html|css|safetensors))$/;

/** Whether a path exists: relative to the file that names it, from the root, or as the ending of some file's path. */
function exists(path, from) {
  // In words, a path that begins with ./ is a file of the reader's own, and one that begins with @ is in a package.
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

const read = (file) => readFileSync(join(root, file), 'utf8');

const COMMENT = /\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm;
/** Returns the comments of a text. Code needs no check, since the compiler looks up the modules that it names. */
const commentsOf = (text) => [...text.matchAll(COMMENT)].map(([comment]) => comment).join('\n');

/** Words that look like symbols: with a capital inside, with two or more humps, or called without arguments. */
const SYMBOL = /(?<![\w$@/#-])(?:[a-z][a-z0-9]*[A-Z][\w$]*|(?:[A-Z][a-z0-9]+){2,}\w*|[A-Za-z_$][\w$]*(?=\(\)))/g;
/** Names that no code of ours has, each with the reason why words may have it. */
const FOREIGN = {
  arXiv: 'a server of papers',
  DataParallel: 'a class of PyTorch',
  dB_t: 'a formula',
  dC_t: 'a formula',
  dLogSumExp_i: 'a formula',
  dP: 'a formula',
  ddeltaBias: 'a formula',
  dot4I8Packed: 'a function of WGSL that no shader calls',
  logSumExp_i: 'a formula',
  GitHub: 'a host of repositories',
  McGill: 'an author',
  MurmurHash3: 'a hash function of others',
  SentencePiece: 'a tokenizer of others',
  SyntaxError: 'an error of JavaScript',
  TorchScript: 'a format of PyTorch',
  VitePress: 'a maker of sites',
  WebCrypto: 'a standard',
};
const symbolsIn = (text) => [...text.replace(/https?:\S+/g, '').matchAll(SYMBOL)].map(([symbol]) => symbol);

/** Every word of code and configuration, without comments, and without this file, which lists foreign names. */
const words = new Set(
  files
    .filter((file) => /\.(tsx?|mjs|js|wgsl|py|html|yaml)$|(package|biome|turbo|tsconfig[\w.]*)\.json$/.test(file))
    .filter((file) => file !== 'pnpm-lock.yaml' && file !== 'scripts/docs.test.mjs')
    .flatMap(
      (file) =>
        read(file)
          .replace(COMMENT, '')
          .match(/[A-Za-z_$][\w$]*/g) ?? [],
    ),
);
const unknownIn = (text) => symbolsIn(text).filter((symbol) => !words.has(symbol) && !Object.hasOwn(FOREIGN, symbol));

/** The reference, which is made beside the pages of the site: VitePress checks the links to it. */
const inReference = (file, target) => file.startsWith('apps/docs/pages/') && /^(?:\.\.?\/)+api\//.test(target);

describe('in Markdown', () => {
  test.each(documents)('%s links to what is there', (file) => {
    const text = read(file);
    const missing = targetsOf(text).filter((target) => !existsSync(join(root, dirname(file), target)));
    expect(missing.filter((target) => !inReference(file, target))).toEqual([]);
  });

  test.each(documents)('%s names files that are there', (file) => {
    const text = read(file);
    const quoted = [...text.matchAll(/`([^`\n]+)`/g)].flatMap(([, code]) => namedIn(code));
    expect(quoted.filter((path) => !exists(path, file))).toEqual([]);
  });

  test.each(documents)('%s names symbols that are there', (file) => {
    expect(unknownIn(read(file))).toEqual([]);
  });
});

test('comments name files that are there', () => {
  const wrong = sources.flatMap((file) =>
    namedIn(commentsOf(read(file)))
      .filter((path) => !exists(path, file))
      .map((path) => `${file}: ${path}`),
  );
  expect(wrong).toEqual([]);
});

test('comments name symbols that are there', () => {
  const wrong = sources.flatMap((file) => unknownIn(commentsOf(read(file))).map((symbol) => `${file}: ${symbol}`));
  expect(wrong).toEqual([]);
});

test('foreign names are foreign, and are named', () => {
  const named = new Set([
    ...documents.flatMap((file) => symbolsIn(read(file))),
    ...sources.flatMap((file) => symbolsIn(commentsOf(read(file)))),
  ]);
  expect(Object.keys(FOREIGN).filter((symbol) => words.has(symbol) || !named.has(symbol))).toEqual([]);
});

test('a page quotes every file of results', () => {
  const pages = documents.filter((file) => file.startsWith('docs/')).map(read);
  const results = files.filter((file) => file.startsWith('docs/performance/results/'));
  expect(results.filter((file) => !pages.some((page) => page.includes(basename(file))))).toEqual([]);
});
