import { rename, rm, writeFile } from 'node:fs/promises';
import process from 'node:process';
import { KIND, type Report, type ReportSet, reportSchema, setSchema } from './report.ts';

/** Writes the report, or a set of them, whole or not at all. */
export async function writeReport(report: Report | ReportSet, file: string): Promise<void> {
  const checked = report.kind === KIND ? reportSchema.parse(report) : setSchema.parse(report);
  await writeWhole(`${JSON.stringify(checked, null, 2)}\n`, file);
}

/** Beside its place first, then moved there: no reader sees half a file, and a failure leaves what was there. */
export async function writeWhole(text: string, file: string): Promise<void> {
  const beside = `${file}.${process.pid}.part`;
  try {
    await writeFile(beside, text);
    await rename(beside, file);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}
