/** Files and folders are written completely or not at all. */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFile, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  checkpointStore,
  createFile,
  createFolder,
  type FolderSink,
  openCheckpoint,
  openFile,
  ownerStamp,
} from '../src/index.ts';
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

describe('a file that is not to replace another', () => {
  it('is one of two that are made at once', async () => {
    const path = join(place, 'file');
    const sinks = [await createFile(path, { replace: false }), await createFile(path, { replace: false })];
    for (const [index, sink] of sinks.entries()) await sink.write(bytes(String(index)));
    await sinks[1]!.close();
    await expectError(sinks[0]!.close(), 'io', '--force');
    await sinks[0]!.abort();
    expect(await readFile(path, 'utf8')).toBe('1');
    expect(await readdir(place)).toEqual(['file']);
    await expectError(createFile(path, { replace: false }), 'io', path, '--force');
    // Apply the remedy that the error names.
    await (await createFile(path, { replace: true })).close();
    expect(await readFile(path, 'utf8')).toBe('');
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

  it('is replaced as a whole, if that is asked for, and not before all is whole', async () => {
    const target = join(place, 'model');
    await mkdir(target);
    await writeFile(join(target, 'one'), 'old');
    await writeFile(join(target, 'tokenizer'), 'of another');
    const link = join(place, 'link');
    await symlink(target, link);
    const given = await createFolder(link, { replace: true });
    await write(given, 'one', 'new');
    expect(await readFile(join(target, 'one'), 'utf8')).toBe('old');
    await given.abort();
    const folder = await createFolder(link, { replace: true });
    await write(folder, 'one', 'new');
    await write(folder, 'two', '2');
    expect((await readdir(target)).sort()).toEqual(['one', 'tokenizer']);
    await folder.close();
    expect((await readdir(target)).sort()).toEqual(['one', 'two']);
    expect(await readFile(join(link, 'one'), 'utf8')).toBe('new');
    expect((await readdir(place)).sort()).toEqual(['link', 'model']);
  });

  it.each([true, false])('is one of two that are made at once (replace: %s)', async (replace) => {
    for (let round = 0; round < 20; round++) {
      const target = join(place, String(round));
      const folders = [await createFolder(target, { replace }), await createFolder(target, { replace })];
      for (const [index, folder] of folders.entries()) {
        await write(folder, 'one', `${index}`);
        await write(folder, `own ${index}`, '');
      }
      const ends = await Promise.allSettled(folders.map((folder) => folder.close()));
      const failed = ends.findIndex(({ status }) => status === 'rejected');
      expect(failed === -1).toBe(replace);
      if (!replace) {
        await expectError(folders[failed]!.close(), 'io', '--force');
        await folders[failed]!.abort();
      }
      const won = await readFile(join(target, 'one'), 'utf8');
      expect((await readdir(target)).sort()).toEqual(['one', `own ${won}`]);
      expect((await readdir(place)).filter((name) => name.startsWith('.'))).toEqual([]);
    }
  });

  it('is put back where a process was killed in the middle of replacing it', async () => {
    const target = join(place, 'model');
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    const stamp = ownerStamp().replace(/-\d+-/, `-${pid}-`);
    await mkdir(join(place, `.model.${stamp}.replaced`));
    await writeFile(join(place, `.model.${stamp}.replaced`, 'one'), 'old');
    await mkdir(join(place, `.model.${stamp}.partial`));
    await writeFile(join(place, `.model.${ownerStamp()}.partial`), 'of one that lives');
    await writeFile(join(place, `.models.${stamp}.partial`), 'of another');
    expect(await checkpointStore(target).list!()).toEqual(['one']);
    const folder = await createFolder(target, { replace: true });
    expect(await readFile(join(target, 'one'), 'utf8')).toBe('old');
    expect((await readdir(place)).filter((name) => name.includes(`${pid}`))).toEqual([`.models.${stamp}.partial`]);
    await write(folder, 'one', 'new');
    await folder.close();
    expect(await readFile(join(target, 'one'), 'utf8')).toBe('new');
    expect((await readdir(place)).filter((name) => name.startsWith('.model.'))).toHaveLength(1);
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

  it('is not the folder that the process runs in, where no path is given', async () => {
    await expectError(createFolder(''), 'invalid-argument', 'createFolder.path', 'a path');
    await expectError(createFolder('', { replace: true }), 'invalid-argument');
    await expectError(createFile(''), 'invalid-argument', 'createFile.path');
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
    // The name of a model of the hub, as a user may type it.
    await expectError(openCheckpoint('absent/mamba-130m'), 'invalid-file', 'write hf:absent/mamba-130m');
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
      // Apply the remedy that the error names.
      await rm(join(folder, name));
      await symlink(`${FIXTURES}/mamba-tiny/${name}`, join(folder, name));
      await (await openCheckpoint(folder)).close();
    }
  });
});
