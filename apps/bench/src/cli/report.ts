import { mergeReports } from '../compare/merge.ts';
import { renderHtml } from '../report/html/page.ts';
import { readReports } from '../schema/read.ts';
import { checkWritable, writeWhole } from '../schema/write.ts';
import type { Terminal } from './terminal.ts';

/** Writes one page of the reports of all these files. */
export async function reportCommand(files: readonly string[], out: string, { stdout }: Terminal): Promise<number> {
  checkWritable(out);
  const set = mergeReports(await readReports(files));
  writeWhole(renderHtml(set), out);
  for (const note of set.notes) stdout.write(`${note}\n`);
  stdout.write(`${set.reports.length === 1 ? '1 report' : `${set.reports.length} reports`} in ${out}\n`);
  return 0;
}
