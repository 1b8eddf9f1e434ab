import { once } from 'node:events';
import type { WarningListener } from '@mamba/checkpoint';
import { Presets, SingleBar } from 'cli-progress';

/** A bar on stderr, where that is a terminal; otherwise nothing. */
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

/** Writes to stdout no faster than it is read. */
export async function print(text: string, signal: AbortSignal): Promise<void> {
  if (text !== '' && !process.stdout.write(text)) await once(process.stdout, 'drain', { signal });
}

/** Statistics and other remarks go to stderr, so that stdout holds the result alone. */
export function remark(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** What was left out of a checkpoint. */
export const warn: WarningListener = ({ message }) => remark(`warning: ${message}`);
