import { accessSync, constants, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import process from 'node:process';
import { MambaError } from '@mamba/core';
import { KIND, type Report, type ReportSet, reportSchema, setSchema } from './report.ts';

/** Writes the report, or a set of them, whole or not at all. */
export function writeReport(report: Report | ReportSet, file: string): void {
  const checked = report.kind === KIND ? reportSchema.parse(report) : setSchema.parse(report);
  writeWhole(`${JSON.stringify(checked, null, 2)}\n`, file);
}

/**
 * Writes a file beside its place and moves it there: no reader sees half a file, and a failure leaves the old one. The
 * calls are synchronous, so that no signal handler runs in between.
 * @throws MambaError `io`
 */
export function writeWhole(text: string, file: string): void {
  const beside = `${file}.${process.pid}.part`;
  try {
    writeFileSync(beside, text);
    renameSync(beside, file);
  } catch (cause) {
    rmSync(beside, { force: true });
    throw new MambaError('io', `${file} could not be written: ${reasonOf(cause)}`, { origin: file, cause });
  }
}

/** Called before work whose result goes there. @throws MambaError `invalid-argument` */
export function checkWritable(file: string | undefined): void {
  if (file === undefined) return;
  const folder = dirname(resolve(file));
  const refuse = (reason: string, cause?: unknown): never => {
    throw new MambaError('invalid-argument', `${file} cannot be written: ${reason}`, {
      origin: file,
      remedy: 'Give a file in a folder that is there and can be written to.',
      cause,
    });
  };
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory()) refuse('it is a folder');
  try {
    accessSync(folder, constants.W_OK);
  } catch (cause) {
    refuse(`${reasonOf(cause)} (${folder})`, cause);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  EACCES: 'it is not allowed',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is no folder',
  ENOSPC: 'the disk is full',
};

/** The reason of a system error, in words. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  return REASONS[code ?? ''] ?? message ?? String(error);
}
