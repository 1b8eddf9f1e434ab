/** Makes the tables of Markdown documents anew, from the files of results beside them. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MambaError } from '@mamba/core';
import { cpuTables } from '../report/tables/cpu.ts';
import { h100Tables } from '../report/tables/h100.ts';
import { fillTables, type Tables } from '../report/tables/made.ts';
import { parseReport } from '../schema/report.ts';
import { writeWhole } from '../schema/write.ts';
import type { Terminal } from './terminal.ts';

/**
 * @param folder Of the documents, with their results in `results`.
 * @returns the exit status: with `check`, 1 where a document is not as it would be made.
 */
export function tablesCommand(folder: string, { check }: { readonly check: boolean }, { stdout }: Terminal): number {
  const results = join(folder, 'results');
  if (!existsSync(results))
    throw new MambaError('io', `${folder} has no results`, {
      origin: folder,
      expected: 'a folder with documents, and results/*.json beside them',
      remedy: 'In this repository it is docs/performance.',
    });
  const tables = tablesOf(results);
  const stale = readdirSync(folder)
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name))
    .filter((file) => {
      const text = readFileSync(file, 'utf8');
      const made = fillTables(text, file, tables);
      if (made !== text && !check) writeWhole(made, file);
      return made !== text;
    });
  for (const file of stale)
    stdout.write(`${file} ${check ? 'is not as its results make it: mamba-bench tables FOLDER' : 'was made anew'}\n`);
  return check && stale.length > 0 ? 1 : 0;
}

function tablesOf(results: string): Tables {
  const read = (file: string): string => readFileSync(join(results, file), 'utf8');
  const cpu = 'epyc-2-cores-targets.json';
  return { ...cpuTables(parseReport(read(cpu), cpu)), ...h100Tables((file) => JSON.parse(read(file))) };
}
