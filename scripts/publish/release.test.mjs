/**
 * A release from its changesets to a new user's first token, against a registry on this machine: a copy of the
 * repository is versioned, packed and published by the commands of a real release, under a scope that is not the
 * sources' own. One account may not publish one of the packages, so its release stops in the middle.
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { environment, quiet, root } from '../lib.mjs';
import { overBudget, PACKED } from './budgets.mjs';
import { findingsIn } from './lint.mjs';
import { publishedPackages } from './packages.mjs';
import { publishTarballs, readTarball } from './registry.mjs';
import { copyRepository } from './rehearsal/copy.mjs';
import { publishForeign } from './rehearsal/foreign.mjs';
import { startRegistry } from './rehearsal/local-registry.mjs';

const SCOPE = '@rehearsal';
/** The package that the beginner's account may not publish. It depends on others, so it comes late. */
const HELD_BACK = `${SCOPE}/lm`;
/** What comes with a language model and a backend. */
const INSTALLED = ['checkpoint', 'core', 'cpu', 'lm'];

const folder = mkdtempSync(join(tmpdir(), 'mamba-rehearsal-'));
const copy = join(folder, 'copy');
const tarballs = join(folder, 'tarballs');
let registry;
let beginner;
let owner;
let packed;

beforeAll(async () => {
  copyRepository(copy);
  registry = await startRegistry(join(folder, 'registry'), {
    [HELD_BACK]: ['owner'],
    '**': ['beginner', 'owner'],
  });
  [beginner, owner] = [await registry.account('beginner'), await registry.account('owner')];
  await publishForeign(INSTALLED, join(folder, 'foreign'), { address: registry.address, token: owner.token });
}, 0);
afterAll(async () => {
  await registry?.close();
  rmSync(folder, { recursive: true, force: true });
});

const read = (...path) => readFileSync(join(copy, ...path), 'utf8');
const versionOf = (short) => JSON.parse(read('packages', short, 'package.json')).version;

/** Runs the copy's release by an account. The registry is a process of its own, and this one reads what it says. */
function release({ env }, from = tarballs) {
  const args = [join(copy, 'scripts/publish/release.mjs'), '--tarballs', from];
  const child = spawn(process.execPath, args, { cwd: copy, env: { ...environment, ...env } });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      output += chunk;
    });
  return new Promise((resolve) => child.once('close', (status) => resolve({ status, output })));
}

test('changesets raise every version together, and write changelogs', () => {
  const before = versionOf('core');
  // A change of this test's own, since a commit that has just been released holds none.
  writeFileSync(join(copy, '.changeset/rehearsed.md'), '---\n"@mamba/lm": minor\n---\n\nA rehearsed change.\n');
  quiet(process.execPath, [join(root, 'node_modules/@changesets/cli/bin.js'), 'version'], { cwd: copy });
  const versions = new Set(publishedPackages().map(({ short }) => versionOf(short)));
  expect(versions.size).toBe(1);
  expect(versions).not.toContain(before);
  expect(read('packages/lm/CHANGELOG.md')).toContain('A rehearsed change.');
  expect(readdirSync(join(copy, '.changeset'))).toEqual(['config.json']);
  for (const app of readdirSync(join(copy, 'apps')))
    expect(read('apps', app, 'package.json')).toBe(readFileSync(join(root, 'apps', app, 'package.json'), 'utf8'));
});

test('a release is refused while its scope and its repository are not its own', async () => {
  expect(await release(owner)).toEqual({
    status: 2,
    output:
      'package.json\'s "publishing" lacks a scope that is ours: @mamba on npm is somebody else\'s, and ' +
      "the repository's address\n",
  });
});

describe('what is packed', () => {
  beforeAll(async () => {
    const manifest = JSON.parse(read('package.json'));
    manifest.publishing = { scope: SCOPE, repository: 'https://example.org/mamba.git' };
    writeFileSync(join(copy, 'package.json'), JSON.stringify(manifest));
    const { packPackages } = await import(pathToFileURL(join(copy, 'scripts/publish/pack.mjs')).href);
    expect(() => packPackages(tarballs, 'rehearsal')).toThrow('is no scope');
    const files = Object.entries(packPackages(tarballs, SCOPE));
    packed = Object.fromEntries(files.map(([short, file]) => [short, readTarball(file)]));
  }, 0);

  const files = (short) => quiet('tar', ['-tzf', packed[short].file]).trim().split('\n');

  test('has ranges, the scope, and nothing for developers in its manifests', () => {
    for (const [short, { manifest }] of Object.entries(packed)) {
      const { name, scripts, devDependencies, dependencies = {}, peerDependencies = {} } = manifest;
      expect(name).toBe(`${SCOPE}/${short}`);
      expect([scripts, devDependencies]).toEqual([undefined, undefined]);
      for (const [needed, range] of Object.entries({ ...dependencies, ...peerDependencies })) {
        expect(needed).not.toMatch(/^@mamba\//);
        expect(range, needed).toMatch(/^(\^|>=)\d/);
      }
    }
  });

  test('asks a browser that takes the language model for no server and no command line', () => {
    for (const tool of ['hono', '@hono/node-server', 'zod', 'commander', 'cli-table3', 'cli-progress'])
      expect(Object.keys(packed.lm.manifest.dependencies)).not.toContain(tool);
  });

  test('is within its budget of bytes', () => {
    for (const [short, { file }] of Object.entries(packed))
      expect(overBudget(short, statSync(file).size, PACKED[short])).toBeUndefined();
  });

  test('has nothing that publint would change', async () => {
    for (const { file } of Object.values(packed)) expect(await findingsIn(file), file).toEqual([]);
  });

  test('tells a reader on a registry how to install it, and links to the repository', () => {
    for (const [short, { file }] of Object.entries(packed)) {
      const readme = quiet('tar', ['-xzOf', file, 'package/README.md']);
      expect(readme, short).not.toMatch(/not from npm|npm run sample|@mamba\//);
      const links = [...readme.matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => target);
      expect(links.filter((target) => !/^(https:|#)/.test(target))).toEqual([]);
    }
    const lm = quiet('tar', ['-xzOf', packed.lm.file, 'package/README.md']);
    expect(lm).toContain(`\`\`\`sh\nnpm install ${SCOPE}/lm ${SCOPE}/cpu\n\`\`\`\n\nThe command line`);
    expect(lm).toContain('(https://example.org/mamba/blob/main/docs/serving.md)');
  });

  test('has errors that name an address', () => {
    const errors = quiet('tar', ['-xzOf', packed.core.file, 'package/dist/contract/errors.js']);
    expect(errors).toContain('https://example.org/mamba/blob/main/docs/errors.md#');
  });

  test('has no golden files', () => {
    expect(files('conformance').filter((file) => file.includes('/fixtures/'))).toEqual([]);
  });

  test('has no comments in shaders but marks for the host', () => {
    const shader = 'package/dist/generated/selective-scan-euler.js';
    const text = quiet('tar', ['-xzOf', packed.webgpu.file, shader]);
    expect(text.match(/(?<!:)\/\/ (?!unroll\\n|Generated|# source)[^\\"]*/g) ?? []).toEqual([]);
  });
});

test('a release is of every package', async () => {
  const incomplete = join(folder, 'incomplete');
  mkdirSync(incomplete);
  cpSync(packed.core.file, join(incomplete, basename(packed.core.file)));
  const { status, output } = await release(owner, incomplete);
  expect(status).toBe(1);
  expect(output).toContain(`holds ${SCOPE}/core; a release is of ${SCOPE}/checkpoint, `);
});

test('a release stops at what its account may not publish', async () => {
  const { status, output } = await release(beginner);
  expect(status, output).toBe(1);
  expect(output).toContain(`it goes on with ${HELD_BACK}`);
}, 0);

test('run again, it goes on with what is missing', async () => {
  const { status, output } = await release(owner);
  expect(status, output).toBe(0);
  expect(output).toContain(`${packed.core.name}@${packed.core.version} is there already\n`);
  expect(output).toContain(`${HELD_BACK}@${packed.lm.version}\n`);
  const order = [...output.matchAll(/^(@rehearsal\/\w+)@\S+(?: is there already)?$/gm)].map(([, name]) => name);
  expect(order.toSorted()).toEqual(Object.values(packed).map(({ name }) => name));
  for (const { name, manifest } of Object.values(packed))
    for (const needed of Object.keys(manifest.dependencies ?? {}).filter((other) => order.includes(other)))
      expect(order.indexOf(needed), `${needed} is there before ${name}`).toBeLessThan(order.indexOf(name));
}, 0);

test('a version is published once', async () => {
  const { status, output } = await release(owner);
  expect(status).toBe(1);
  expect(output).toContain(`all of ${packed.core.version} is published already`);
  expect(output).toContain('Describe the change with `npx changeset`');
});

test('other contents under a published version are refused', async () => {
  const changed = join(folder, 'changed');
  mkdirSync(changed);
  quiet('tar', ['-xzf', packed.core.file], { cwd: changed });
  writeFileSync(join(changed, 'package/README.md'), 'Another text.\n');
  quiet('tar', ['-czf', 'changed.tgz', 'package'], { cwd: changed });
  const options = { registry: registry.address, tag: 'latest', provenance: false };
  await expect(publishTarballs([join(changed, 'changed.tgz')], options)).rejects.toThrow(
    'with other contents, and a version is published once',
  );
});

test('a new user installs the language model and a backend, and generates a token with three threads', () => {
  const project = join(folder, 'project');
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  quiet('npm', ['install', `${SCOPE}/lm`, `${SCOPE}/cpu`], { cwd: project, env: owner.env });
  const installed = join(project, 'node_modules', SCOPE);
  expect(readdirSync(installed).sort()).toEqual(INSTALLED);
  expect(readFileSync(join(installed, 'cpu', 'dist', 'index.js'), 'utf8')).not.toContain('@mamba/');
  const program = `
    import { cpu } from '${SCOPE}/cpu';
    import { loadModel } from '${SCOPE}/lm';
    const backend = await cpu({ threads: 3 }).create();
    const lm = await loadModel(backend, process.argv[1]);
    let text = '';
    for await (const piece of lm.generate({ prompt: 'In the beginning', maxTokens: 1 })) text += piece.text;
    console.log(JSON.stringify({ written: text.length > 0, threads: backend.details.threads }));
    lm.dispose();
    await backend.dispose();`;
  const model = join(root, 'packages/conformance/fixtures/kjv-mamba');
  const said = quiet(process.execPath, ['--input-type=module', '--eval', program, '--', model], { cwd: project });
  expect(JSON.parse(said)).toEqual({ written: true, threads: 3 });
});
