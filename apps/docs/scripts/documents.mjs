// The Markdown that the site shows: its own pages, and that of the repository, each file at the path that it has there.
import { posix } from 'node:path';
import { filesIn } from '../../../scripts/lib.mjs';

/** The folder of the site's own pages, which lie at the top of the site. */
const PAGES = 'apps/docs/pages/';
const SHOWN = [
  /^apps\/docs\/pages\/.+\.md$/,
  /^(?:CONTRIBUTING|SECURITY)\.md$/,
  /^docs\/.+\.md$/,
  /^packages\/[^/]+\/README\.md$/,
  /^apps\/(?:bench|playground)\/(?:docs\/.+|README)\.md$/,
];

/** Returns the paths from the root of all Markdown that the site shows. */
export const documents = () => filesIn('').filter((file) => SHOWN.some((pattern) => pattern.test(file)));

/** Returns the file of the site, as a path below its source folder: a README is the page of its folder. */
export const pageOf = (document) => document.replace(PAGES, '').replace(/(^|\/)README\.md$/, '$1index.md');

/**
 * Rewrites the relative links of a document for the page that shows it. A link to a folder leads to its README; the
 * root's README is the site's first page. What the site does not show becomes a link into the repository, or, while the
 * repository has no address, its path in words.
 */
export function relink(text, document, shown, repository, page = pageOf(document)) {
  return outsideFences(text, (prose) =>
    prose.replace(/(!?)\[([^\]]*)\]\(([^)\s]+)\)/g, (link, image, words, target) => {
      if (/^(?:[a-z]+:|#)/.test(target)) return link;
      const [path, anchor] = target.split('#');
      const file = posix.normalize(posix.join(posix.dirname(document), path)).replace(/\/$/, '');
      if (image !== '') return `![${words}](${relative(page, file)})`;
      // The reference is made by another script, beside the pages.
      if (file.startsWith(`${PAGES}api/`)) return link;
      const found = [file, posix.join(file, 'README.md')].find((name) => shown.has(name));
      const hash = anchor === undefined ? '' : `#${anchor}`;
      if (found !== undefined) return `[${words}](${relative(page, pageOf(found))}${hash})`;
      if (file === 'README.md' || file === '.') return `[${words}](${relative(page, 'index.md')}${hash})`;
      if (repository !== undefined) return `[${words}](${repository}/blob/HEAD/${file})`;
      return words.includes(posix.basename(file)) ? words : `${words} (\`${file}\`)`;
    }),
  );
}

function relative(from, to) {
  const path = posix.relative(posix.dirname(from), to);
  return path.startsWith('.') ? path : `./${path}`;
}

/** Applies `change` to what is outside fences, and to whole paragraphs, since a link may be broken over two lines. */
function outsideFences(text, change) {
  return text
    .split(/^(\s*```[\s\S]*?^\s*```.*$)/m)
    .map((part, index) => (index % 2 === 0 ? change(part) : part))
    .join('');
}

/** Returns a section of a document without its heading, up to the next heading of its level or a higher one. */
export function sectionOf(text, heading) {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '') === heading);
  if (start < 0) throw new Error(`no heading "${heading}" in the document: name one that it has`);
  const level = lines[start].indexOf(' ');
  const end = lines.findIndex((line, at) => at > start && /^#+ /.test(line) && line.indexOf(' ') <= level);
  return lines
    .slice(start + 1, end < 0 ? undefined : end)
    .join('\n')
    .trim();
}
