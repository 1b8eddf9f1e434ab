/**
 * The packages are packed under a scope that is not the sources' own. Installed from tarballs alone, they run with
 * threads.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { quiet } from '../lib.mjs';
import { packPackages } from './pack.mjs';

const folder = mkdtempSync(join(tmpdir(), 'mamba-pack-test-'));
let tarballs;
beforeAll(() => {
  tarballs = packPackages(join(folder, 'tarballs'), '@else-where');
}, 0);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const manifest = (short) => JSON.parse(quiet('tar', ['-xzOf', tarballs[short], 'package/package.json']));
const files = (short) => quiet('tar', ['-tzf', tarballs[short]]).trim().split('\n');

test('every manifest has ranges, the scope, and nothing for developers', () => {
  for (const short of Object.keys(tarballs)) {
    const { name, scripts, devDependencies, dependencies = {}, peerDependencies = {} } = manifest(short);
    expect(name).toBe(`@else-where/${short}`);
    expect([scripts, devDependencies]).toEqual([undefined, undefined]);
    for (const [needed, range] of Object.entries({ ...dependencies, ...peerDependencies })) {
      expect(needed).not.toMatch(/^@mamba\//);
      expect(range, needed).toMatch(/^(\^|>=)\d/);
    }
  }
});

test('a browser that takes the language model installs no server and no command line', () => {
  for (const tool of ['hono', '@hono/node-server', 'zod', 'commander', 'cli-table3', 'cli-progress'])
    expect(Object.keys(manifest('lm').dependencies)).not.toContain(tool);
});

test('golden files stay in the repository', () => {
  expect(files('conformance').filter((file) => file.includes('/fixtures/'))).toEqual([]);
});

test('shaders have no comments but marks for the host', () => {
  const text = quiet('tar', ['-xzOf', tarballs.webgpu, 'package/dist/generated/selective-scan-euler.js']);
  expect(text.match(/(?<!:)\/\/ (?!unroll\\n|Generated|# source)[^\\"]*/g) ?? []).toEqual([]);
});

test('installed without a registry, three threads compute', { timeout: 0 }, () => {
  const dependencies = Object.fromEntries(
    ['core', 'cpu'].map((short) => [`@else-where/${short}`, `file:${tarballs[short]}`]),
  );
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module', dependencies }));
  quiet('npm', ['install', '--offline', '--no-audit', '--no-fund', '--cache', join(folder, 'cache')], { cwd: folder });
  const installed = join(folder, 'node_modules', '@else-where');
  expect(readdirSync(installed).sort()).toEqual(['core', 'cpu']);
  expect(readFileSync(join(installed, 'cpu', 'dist', 'index.js'), 'utf8')).not.toContain('@mamba/');
  const script = `
    import { cpu } from '@else-where/cpu';
    const backend = await cpu({ threads: 3 }).create();
    console.log(backend.details.threads);
    await backend.dispose();`;
  const threads = quiet(process.execPath, ['--input-type=module', '--eval', script], { cwd: folder });
  expect(threads.trim()).toBe('3');
});

test('what is no scope is refused', () => {
  expect(() => packPackages(folder, 'else-where')).toThrow('is no scope');
});
