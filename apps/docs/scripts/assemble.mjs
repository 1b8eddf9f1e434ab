// Assembles the Markdown of the site in src/generated/site: the pages of this package, and that of the repository.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from '../../../scripts/lib.mjs';
import { documents, pageOf, relink, sectionOf } from './documents.mjs';

const here = dirname(dirname(fileURLToPath(import.meta.url)));
const site = join(here, 'src/generated/site');
const read = (file) => readFileSync(join(root, file), 'utf8');

const { repository } = JSON.parse(read('package.json')).publishing;
const shown = new Set(documents());

/** Writes the sections that a page takes from a document: <!-- section: CONTRIBUTING.md "Adding a kernel" -->. */
const withSections = (text, page) =>
  text.replace(/<!-- section: (\S+) "([^"]+)" -->/g, (_, document, heading) =>
    relink(sectionOf(read(document), heading), document, shown, repository, page),
  );

// The reference is made by another script, which takes longer: it stays.
mkdirSync(site, { recursive: true });
for (const name of readdirSync(site).filter((name) => name !== 'api')) rmSync(join(site, name), { recursive: true });
for (const document of shown) {
  const page = pageOf(document);
  mkdirSync(dirname(join(site, page)), { recursive: true });
  writeFileSync(join(site, page), withSections(relink(read(document), document, shown, repository), page));
}
cpSync(join(root, 'docs/pictures'), join(site, 'docs/pictures'), { recursive: true });
