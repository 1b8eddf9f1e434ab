import { appendFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createFile, createFolder, removeAbandoned, temporaryPath } from '@mamba/checkpoint';
import { MambaError } from '@mamba/core';
import { checkInteger } from '@mamba/core/toolkit';
import type { Trainer } from '../trainer/trainer.ts';
import { type SaveOptions, saveTraining } from './write.ts';

/** The saves and the metrics of one training on disk. */
export class RunFolder {
  readonly path: string;
  readonly #keep: number;

  /** @param keep Number of saves that are kept, the newest ones. */
  constructor(path: string, { keep = 2 }: { readonly keep?: number | undefined } = {}) {
    checkInteger('runFolder.keep', keep, 1);
    this.path = path;
    this.#keep = keep;
  }

  /** Steps that were saved, in order. */
  async steps(): Promise<readonly number[]> {
    const names = await attempt(this.path, readdir(this.path)).catch((error: MambaError) => {
      if ((error.cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    });
    const steps = names.map((name) => /^step-(\d{6,})$/.exec(name)?.[1]).filter((step) => step !== undefined);
    return steps.map(Number).sort((a, b) => a - b);
  }

  /** The folder of a step, for `openTraining`. */
  pathOf(step: number): string {
    return join(this.path, `step-${String(step).padStart(6, '0')}`);
  }

  /**
   * Saves a training between two steps. The folder of a step appears as a whole, so that a process that is killed
   * leaves whole saves alone; older saves are removed after that. A step that is saved already is left as it is.
   * @throws MambaError as `saveTraining` does.
   */
  async save(trainer: Trainer, options?: SaveOptions | undefined): Promise<void> {
    const before = await this.steps();
    if (before.includes(trainer.step)) return;
    await saveTraining(await createFolder(this.pathOf(trainer.step)), trainer, options);
    const steps = [...before, trainer.step].sort((a, b) => a - b);
    for (const step of steps.slice(0, -this.#keep)) {
      // Renamed first, so that no half of a save is ever seen.
      const gone = temporaryPath(this.pathOf(step));
      await attempt(this.path, rename(this.pathOf(step), gone));
      await rm(gone, { recursive: true, force: true }).catch(() => {});
    }
  }

  /**
   * Prepares the folder for a training that begins or goes on after a step: what killed processes left is removed, and
   * so are the metrics of later steps.
   */
  async begin(step: number): Promise<void> {
    await attempt(this.path, mkdir(this.path, { recursive: true }));
    await removeAbandoned(this.path);
    const text = await readFile(this.#metrics, 'utf8').catch(() => undefined);
    if (text === undefined) return;
    const lines = text.split('\n').filter((line) => (stepOf(line) ?? Number.POSITIVE_INFINITY) <= step);
    const sink = await createFile(this.#metrics);
    await sink.write(new TextEncoder().encode(lines.map((line) => `${line}\n`).join('')));
    await sink.close();
  }

  /** Appends a line to `metrics.jsonl`. */
  log(metrics: object): void {
    try {
      appendFileSync(this.#metrics, `${JSON.stringify(metrics)}\n`);
    } catch (cause) {
      throw failure(this.#metrics, cause);
    }
  }

  get #metrics(): string {
    return join(this.path, 'metrics.jsonl');
  }
}

/** The step of a line of metrics; undefined for a line that a killed process did not finish. */
function stepOf(line: string): number | undefined {
  try {
    return (JSON.parse(line) as { readonly step: number }).step;
  } catch {
    return undefined;
  }
}

async function attempt<T>(path: string, work: Promise<T>): Promise<T> {
  return work.catch((cause: unknown) => {
    throw failure(path, cause);
  });
}

function failure(path: string, cause: unknown): MambaError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MambaError('io', `${path} cannot be written: ${reason}`, { origin: path, cause });
}
