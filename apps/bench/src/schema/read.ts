import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isMambaError, MambaError } from '@mamba/core';
import type { NamedReport } from '../compare/merge.ts';
import { parseReports, type Report } from './report.ts';
import { asReport, isVersus, parseVersus } from './versus.ts';
import { reasonOf } from './write.ts';

/**
 * The one report of a file; a result of `versus` counts as one.
 * @throws MambaError `invalid-file`, or `invalid-argument` where it holds several.
 */
export async function readReport(file: string): Promise<Report> {
  const text = await readText(file);
  const reports = isVersus(text) ? [asReport(parseVersus(text, file))] : parseReports(text, file);
  if (reports.length !== 1)
    throw new MambaError('invalid-argument', `${file} holds ${reports.length} reports`, {
      origin: file,
      expected: 'the report of one machine',
      remedy: 'Compare the files that were merged.',
    });
  return reports[0]!;
}

/** All reports of these files. */
export async function readReports(files: readonly string[]): Promise<NamedReport[]> {
  const named: NamedReport[] = [];
  for (const file of files) {
    for (const report of parseReports(await readText(file), file)) named.push({ origin: file, report });
  }
  return named;
}

/** The reports of a folder's JSON files, and the reasons for which others were left out. */
export async function readFolder(folder: string): Promise<{ found: NamedReport[]; leftOut: string[] }> {
  const entries = await readdir(folder).catch((cause: unknown) => refuse(folder, cause));
  const names = entries.filter((name) => name.endsWith('.json')).sort();
  const found: NamedReport[] = [];
  const leftOut: string[] = [];
  for (const name of names) {
    try {
      found.push(...(await readReports([join(folder, name)])));
    } catch (error) {
      if (!isMambaError(error, 'invalid-file')) throw error;
      leftOut.push(error.message);
    }
  }
  return { found, leftOut };
}

/** @throws MambaError `io` */
export async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((cause: unknown) => refuse(file, cause));
}

function refuse(path: string, cause: unknown): never {
  throw new MambaError('io', `${path} could not be read: ${reasonOf(cause)}`, { origin: path, cause });
}
