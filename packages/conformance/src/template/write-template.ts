/** Writes the package of a new backend, which passes the suite, for its author to change. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';
import { invalid } from '@mamba/core';

/** The package that is copied. It is complete, and its backend is called `mine`. */
const TEMPLATE = fileURLToPath(new URL('../../template/', import.meta.url));
/** A published package may hold no second package.json with exports: bundlers differ on it. */
const MANIFEST = 'package.template.json';

/**
 * Writes the package to a folder, which is new or empty. The backend is called as the folder is.
 * @param version that of this package, which the others of the workspace have too
 * @returns the paths of the files in the folder
 * @throws MambaError `invalid-argument` where the folder holds files, or its name cannot be that of a backend.
 */
export async function writeTemplate(folder: string, version: string): Promise<readonly string[]> {
  const name = basename(resolve(folder));
  const identifier = name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name) || !isIdentifier(identifier))
    throw invalid('--template', `a folder named ${name}`, 'lower-case letters, digits and hyphens, and no keyword');
  if ((await filesIn(folder)).length > 0)
    throw invalid('--template', `${folder}, which holds files`, 'a folder that is new or empty', 'Name another one.');
  const files = (await readdir(TEMPLATE, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(TEMPLATE.length))
    .sort();
  const written: string[] = [];
  for (const from of files) {
    const file = from === MANIFEST ? 'package.json' : from;
    const text = (await readFile(join(TEMPLATE, from), 'utf8'))
      .replaceAll('"*"', `"^${version}"`)
      .replace(/(?<=backend-|')mine\b/g, name)
      .replace(/\bmine\b/g, identifier);
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), text);
    written.push(file);
  }
  return written;
}

async function filesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Whether a module may declare something of this name. The code is compiled, and not run. */
function isIdentifier(name: string): boolean {
  try {
    return new Script(`'use strict'; async () => { let ${name}; }`) !== undefined;
  } catch {
    return false;
  }
}
