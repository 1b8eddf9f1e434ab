import { MambaError } from '@mamba/core';
import { mergeReports } from '../compare/merge.ts';
import { renderHtml } from '../report/html/page.ts';
import { isPyTorchTraining, type PyTorchTraining, parsePyTorchTraining } from '../schema/pytorch-training.ts';
import { readReports, readText } from '../schema/read.ts';
import { checkWritable, writeWhole } from '../schema/write.ts';
import type { Terminal } from './terminal.ts';

/**
 * Writes one page of the reports of all these files, and of those of peers/pytorch_training.py.
 * @throws MambaError `invalid-argument` where none of them is a report.
 */
export async function reportCommand(files: readonly string[], out: string, { stdout }: Terminal): Promise<number> {
  checkWritable(out);
  const training: PyTorchTraining[] = [];
  const others: string[] = [];
  for (const file of files) {
    const text = await readText(file);
    if (isPyTorchTraining(text)) training.push(parsePyTorchTraining(text, file));
    else others.push(file);
  }
  if (others.length === 0)
    throw new MambaError('invalid-argument', 'no report is given', {
      given: 'training in PyTorch alone',
      expected: 'a report that it stands beside',
      remedy: 'Make one with mamba-bench run --json FILE, and give both.',
    });
  const set = mergeReports(await readReports(others));
  writeWhole(renderHtml(set, training), out);
  for (const note of set.notes) stdout.write(`${note}\n`);
  stdout.write(`${set.reports.length === 1 ? '1 report' : `${set.reports.length} reports`} in ${out}\n`);
  return 0;
}
