import { MambaError } from '@mamba/core';
import { machineName } from '../compare/key.ts';
import { mergeReports } from '../compare/merge.ts';
import { styleFor } from '../report/style.ts';
import { readFolder } from '../schema/read.ts';
import { checkWritable, writeReport } from '../schema/write.ts';
import type { Terminal } from './terminal.ts';

/** Gives 1 where a file had to be left out. @throws MambaError where nothing in the folder is a report. */
export async function mergeCommand(
  folder: string,
  out: string,
  { stdout, stderr, environment }: Terminal,
): Promise<number> {
  checkWritable(out);
  const { found, leftOut } = await readFolder(folder);
  const style = styleFor(stderr, environment);
  for (const reason of leftOut) stderr.write(`${style.yellow('left out:')} ${reason}\n`);
  if (found.length === 0)
    throw new MambaError('invalid-argument', `there is no report of mamba-bench in ${folder}`, {
      origin: folder,
      remedy: 'Make some with mamba-bench run --json FILE.',
    });
  const set = mergeReports(found);
  writeReport(set, out);
  for (const { machine, results } of set.reports)
    stdout.write(`${machineName(machine)}: ${results.length} ${results.length === 1 ? 'result' : 'results'}\n`);
  for (const note of set.notes) stdout.write(`${note}\n`);
  stdout.write(`${set.reports.length === 1 ? '1 report' : `${set.reports.length} reports`} in ${out}\n`);
  return leftOut.length > 0 ? 1 : 0;
}
