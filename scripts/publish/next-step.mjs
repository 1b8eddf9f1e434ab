// node scripts/publish/next-step.mjs: what the release workflow has to do, as lines of its outputs. `version`: raise
// the versions, since there are changesets. `publish`: this version has no tag yet. `none`: it has one.
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { quiet, root } from '../lib.mjs';
import { publishedPackages } from './packages.mjs';

/** Chooses the step by the names of files in the changesets' folder, the version of the packages, and all tags. */
export function nextStep(files, version, tags) {
  if (files.some((name) => name.endsWith('.md') && name !== 'README.md')) return 'version';
  return tags.includes(`v${version}`) ? 'none' : 'publish';
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const { version } = publishedPackages()[0].manifest;
  const tags = quiet('git', ['tag', '--list']).split('\n');
  console.log(`step=${nextStep(readdirSync(join(root, '.changeset')), version, tags)}\nversion=${version}`);
}
