import { readdir, stat } from 'node:fs/promises';
import { invalid, MambaError } from '@mamba/core';

/**
 * Checks a file to write before any work is done.
 * @throws MambaError `invalid-argument` if it exists and `force` is not set, or if it is not a file.
 */
export async function checkFileTarget(path: string, force: boolean): Promise<void> {
  checkNamed(path);
  const there = await stat(path).catch(() => undefined);
  if (there === undefined) return;
  if (!there.isFile())
    throw invalid(path, there.isDirectory() ? 'a folder' : 'a pipe or a device', 'a file, or nothing yet', FILE);
  if (!force) throw taken(path);
}

/**
 * Checks a folder to write, which is replaced with all files in it: it must be empty, or hold a model and no folders.
 * @throws MambaError `invalid-argument` otherwise, and if it is not empty and `force` is not set.
 */
export async function checkFolderTarget(path: string, force: boolean): Promise<void> {
  checkNamed(path);
  const there = await stat(path).catch(() => undefined);
  if (there === undefined) return;
  if (!there.isDirectory())
    throw invalid(path, there.isFile() ? 'a file' : 'a pipe or a device', 'a folder, or nothing yet', FOLDER);
  const entries = await readdir(path, { withFileTypes: true });
  if (entries.length === 0) return;
  if (!force) throw taken(path);
  const model = entries.some(({ name }) => MODEL.test(name));
  const below = entries.find((entry) => entry.isDirectory());
  if (model && below === undefined) return;
  throw invalid(
    path,
    model ? `a folder with the folder ${JSON.stringify(below!.name)} in it` : 'a folder that holds files, and no model',
    'a folder of a model and nothing else, since all of it is replaced',
    'Give another target, or remove what is in this one.',
  );
}

const MODEL = /^config\.json$|\.(safetensors|gguf|bin)$/i;
const FILE = 'Give the path of a file.';
const FOLDER = 'Give the path of a folder, or one that ends in .gguf for a file.';

/** Refuses an empty path, such as that of an unset variable: it would mean the working directory. */
function checkNamed(path: string): void {
  if (path === '') throw invalid('the target', 'nothing', 'a path', 'For the folder that you are in, give a dot.');
}

function taken(path: string): MambaError {
  return new MambaError('invalid-argument', `${path} is there already`, {
    origin: path,
    remedy: 'Give another target, or --force to replace it.',
  });
}
