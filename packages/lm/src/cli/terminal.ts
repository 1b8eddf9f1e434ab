import { once } from 'node:events';
import type { WarningListener } from '@mamba/checkpoint';
import { Presets, SingleBar } from 'cli-progress';

/** A progress bar on stderr; does nothing unless that is a terminal. */
export interface Progress {
  update(done: number, total: number): void;
  stop(): void;
}

export function progress(label: string): Progress {
  if (!process.stderr.isTTY) return { update() {}, stop() {} };
  const bar = new SingleBar(
    { format: `${label} {bar} {percentage}%`, stream: process.stderr, clearOnComplete: true, hideCursor: true },
    Presets.shades_classic,
  );
  let started = false;
  return {
    update(done, total) {
      if (started) bar.update(done);
      else bar.start(total, done);
      started = true;
    },
    stop() {
      if (started) bar.stop();
    },
  };
}

/** Writes to stdout, and waits while its buffer is full. */
export async function print(text: string, signal: AbortSignal): Promise<void> {
  if (text !== '' && !process.stdout.write(text)) await once(process.stdout, 'drain', { signal });
}

/** Writes a line to stderr, since stdout holds the result only. */
export function remark(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Prints a warning about a file of a checkpoint that was left out. */
export const warn: WarningListener = ({ message }) => remark(`warning: ${message}`);
