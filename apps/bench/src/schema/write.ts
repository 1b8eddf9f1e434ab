import { rename, rm, writeFile } from 'node:fs/promises';
import process from 'node:process';
import { type Report, reportSchema } from './report.ts';

/** Writes the report whole or not at all: beside its place first, then moved there. */
export async function writeReport(report: Report, file: string): Promise<void> {
  const text = `${JSON.stringify(reportSchema.parse(report), null, 2)}\n`;
  const beside = `${file}.${process.pid}.part`;
  try {
    await writeFile(beside, text);
    await rename(beside, file);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}
