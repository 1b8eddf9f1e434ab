import { access, constants } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { mergeReports } from '../compare/merge.ts';
import { renderHtml } from '../report/html/page.ts';
import { readReports } from '../schema/read.ts';
import { writeWhole } from '../schema/write.ts';
import type { Terminal } from './terminal.ts';

/** One page of all these files' reports. */
export async function reportCommand(files: readonly string[], out: string, { stdout }: Terminal): Promise<number> {
  await access(dirname(resolve(out)), constants.W_OK);
  const set = mergeReports(await readReports(files));
  await writeWhole(renderHtml(set), out);
  for (const note of set.notes) stdout.write(`${note}\n`);
  stdout.write(`${set.reports.length === 1 ? '1 report' : `${set.reports.length} reports`} in ${out}\n`);
  return 0;
}
