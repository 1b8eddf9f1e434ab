// Finds the tests that a change touches, for `npm test -- --changed [commit]`. Packages see each other's built output,
// so vitest's own graph of imports ends at the border of a package; this script follows the packages' dependencies from
// there.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './lib.mjs';

/**
 * Replaces `--changed [commit]` in vitest's arguments by the tests to run: test files that changed themselves, and
 * every test of a package that changed or that depends on one which did. Without a commit, changes are those that are
 * not committed. Returns undefined where there is nothing to run.
 */
export function expandChanged(args) {
  const at = args.findIndex((arg) => arg === '--changed' || arg.startsWith('--changed='));
  if (at < 0) return args;
  const rest = args.toSpliced(at, 1);
  let since = args[at].split('=')[1];
  if (since === undefined && rest[at] !== undefined && !rest[at].startsWith('-')) since = rest.splice(at, 1)[0];
  const selected = selectTests(changedFiles(since ?? 'HEAD'), workspace());
  if (selected === 'all') return rest;
  return selected.length === 0 ? undefined : [...rest, ...selected];
}

/**
 * Returns the folders of packages whose tests run, files of tests, or `all` where a file of the workspace itself
 * changed.
 */
export function selectTests(files, packages) {
  const whole = new Set();
  const tests = [];
  for (const file of files) {
    const home = packages.find(({ folder }) => file.startsWith(`${folder}/`));
    if (home === undefined && !file.endsWith('.md')) return 'all';
    if (home === undefined || file.endsWith('.md')) continue;
    if (file.endsWith('.test.ts')) tests.push(file);
    else whole.add(home.name);
  }
  // A package that depends on a dependent is found in a later round.
  for (let before = -1; before !== whole.size; ) {
    before = whole.size;
    for (const { name, needs } of packages) if (needs.some((needed) => whole.has(needed))) whole.add(name);
  }
  const folders = packages.filter(({ name }) => whole.has(name)).map(({ folder }) => `${folder}/`);
  const alone = tests.filter(
    (test) => !folders.some((folder) => test.startsWith(folder)) && existsSync(join(root, test)),
  );
  return [...folders, ...alone].sort();
}

function changedFiles(since) {
  const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).split('\n').filter(Boolean);
  return [...git('diff', '--name-only', since, '--'), ...git('ls-files', '--others', '--exclude-standard')];
}

function workspace() {
  return ['packages', 'apps', 'tools', 'examples'].flatMap((group) =>
    readdirSync(join(root, group)).map((name) => {
      const folder = `${group}/${name}`;
      const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
      const { dependencies, devDependencies, peerDependencies } = manifest;
      return {
        folder,
        name: manifest.name,
        needs: Object.keys({ ...dependencies, ...devDependencies, ...peerDependencies }),
      };
    }),
  );
}
