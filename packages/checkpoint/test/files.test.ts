/** Files and folders that are written: whole, or not at all. */
import { execFileSync } from 'node:child_process';
import { copyFile, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFile, createFolder, type FolderSink, openCheckpoint, openFile } from '../src/index.ts';
import { expectError, FIXTURES } from './helpers.ts';

let place: string;
beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'mamba-files-'));
});
afterEach(() => rm(place, { recursive: true }));

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

async function write(folder: FolderSink, name: string, text: string): Promise<void> {
  const sink = await folder.createFile(name);
  await sink.write(bytes(text));
  await sink.close();
}

describe('a file', () => {
  it('is never put in the place of a folder or a device, and a link to it stays one', async () => {
    await expectError(createFile(place), 'io', 'no file');
    await expectError(createFile('/dev/null'), 'io', '/dev/null');
    expect((await lstat('/dev/null')).isCharacterDevice()).toBe(true);
    const [path, link] = [join(place, 'file'), join(place, 'link')];
    await writeFile(path, 'old');
    await symlink(path, link);
    const sink = await createFile(link);
    await sink.write(bytes('new'));
    expect(await readFile(path, 'utf8')).toBe('old');
    await sink.close();
    expect(await readFile(path, 'utf8')).toBe('new');
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
    expect((await readdir(place)).sort()).toEqual(['file', 'link']);
  });
});

describe('a folder', () => {
  it('appears with all of its files, and the folders above it', async () => {
    const target = join(place, 'a', 'b');
    const folder = await createFolder(target);
    await write(folder, 'one', '1');
    await write(folder, 'two', '2');
    expect(await readdir(join(place, 'a'))).not.toContain('b');
    await folder.close();
    expect(await readdir(join(place, 'a'))).toEqual(['b']);
    expect((await readdir(target)).sort()).toEqual(['one', 'two']);
  });

  it('leaves nothing where it is given up, in the middle of a file or before', async () => {
    const folder = await createFolder(join(place, 'a', 'b', 'c'));
    await write(folder, 'one', '1');
    const sink = await folder.createFile('two');
    await sink.write(bytes('2'));
    await sink.abort();
    await folder.abort();
    await folder.abort();
    expect(await readdir(place)).toEqual([]);
    await (await createFolder(join(place, 'd'))).abort();
    expect(await readdir(place)).toEqual([]);
  });

  it('keeps what else is in one that is there, and replaces nothing before all is whole', async () => {
    const target = join(place, 'model');
    await mkdir(target);
    await writeFile(join(target, 'one'), 'old');
    await writeFile(join(target, 'notes'), 'mine');
    const given = await createFolder(target);
    await write(given, 'one', 'new');
    expect(await readFile(join(target, 'one'), 'utf8')).toBe('old');
    await given.abort();
    expect(await readFile(join(target, 'one'), 'utf8')).toBe('old');
    const folder = await createFolder(target);
    await write(folder, 'one', 'new');
    await write(folder, 'two', '2');
    await folder.close();
    expect((await readdir(target)).sort()).toEqual(['notes', 'one', 'two']);
    expect(await readFile(join(target, 'one'), 'utf8')).toBe('new');
    expect(await readdir(place)).toEqual(['model']);
  });

  it('is refused where something else is, by the name that was given', async () => {
    await writeFile(join(place, 'file'), '');
    await expectError(createFolder(join(place, 'file')), 'io', join(place, 'file'), 'no folder');
    await expectError(createFolder(join(place, 'file', 'x')), 'io');
    const folder = await createFolder(join(place, 'model'));
    await expectError(folder.createFile('x/y'), 'io', join(place, 'model', 'x/y'));
    await folder.abort();
    expect(await readdir(place)).toEqual(['file']);
  });
});

describe('what stands where a file is read', () => {
  it.skipIf(process.platform === 'win32')('is named where it is none, and never waited for', async () => {
    const pipe = join(place, 'pipe');
    execFileSync('mkfifo', [pipe]);
    await mkdir(join(place, 'folder'));
    await symlink(pipe, join(place, 'link'));
    await symlink('loop', join(place, 'loop'));
    await expectError(openFile(pipe), 'invalid-file', 'pipe', 'a file');
    await expectError(openFile(join(place, 'link')), 'invalid-file', 'link', 'pipe');
    await expectError(openFile(join(place, 'folder')), 'invalid-file', 'a folder');
    await expectError(openFile('/dev/zero'), 'invalid-file', 'a device');
    await expectError(openFile(join(place, 'loop')), 'io', 'loop');
    await expectError(openFile(join(place, 'absent')), 'invalid-file', 'no such file');
  });

  it.skipIf(process.platform === 'win32')('is refused as weights and as a config', async () => {
    for (const name of ['config.json', 'model.safetensors']) {
      const folder = join(place, name);
      await mkdir(folder);
      for (const file of ['config.json', 'model.safetensors']) {
        if (file === name) execFileSync('mkfifo', [join(folder, file)]);
        else await copyFile(`${FIXTURES}/mamba-tiny/${file}`, join(folder, file));
      }
      await expectError(openCheckpoint(folder), 'invalid-file', name, 'pipe');
      // The remedy.
      await rm(join(folder, name));
      await symlink(`${FIXTURES}/mamba-tiny/${name}`, join(folder, name));
      await (await openCheckpoint(folder)).close();
    }
  });
});
