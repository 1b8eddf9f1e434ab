import { once } from 'node:events';
import type { WarningListener } from '@mamba/checkpoint';
import { Presets, SingleBar } from 'cli-progress';
import { StyledText, type Voice } from './styled-text.ts';

/** A progress bar on stderr; does nothing unless that is a terminal. */
export interface Progress {
  update(done: number, total: number): void;
  stop(): void;
}

export function progress(label: string): Progress {
  const width = widthOf(process.stderr);
  if (width === undefined) return { update() {}, stop() {} };
  const format = `${label} {bar} {percentage}%`;
  // A line that the terminal breaks would not be cleared. The label, two spaces and `100%` stand beside the bar.
  const barsize = Math.max(1, Math.min(40, width - label.length - 7));
  const bar = new SingleBar(
    { format, barsize, stream: process.stderr, clearOnComplete: true, hideCursor: true },
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

/** Text for stdout, of a person or of the model. */
export interface TextOutput {
  write(text: string, voice: Voice): Promise<void>;
  /** Writes what was held back. */
  end(): Promise<void>;
}

/** Wraps and styles text on a terminal; leaves it as it is where it goes to a file or another program. */
export function textOutput(signal: AbortSignal): TextOutput {
  const { stdout } = process;
  const colour = hasColour(stdout, process.env);
  if (!stdout.isTTY && !colour) return { write: (text) => print(text, signal), end: async () => {} };
  const styled = new StyledText({ columns: () => widthOf(stdout) ?? Number.POSITIVE_INFINITY, colour });
  return {
    write: (text, voice) => print(styled.push(text, voice), signal),
    end: () => print(styled.end(), signal),
  };
}

/** The columns of a terminal; undefined for what is none. Some tell no width. */
export function widthOf({
  isTTY,
  columns,
}: {
  readonly isTTY?: boolean;
  readonly columns?: number;
}): number | undefined {
  return isTTY ? columns || 80 : undefined;
}

/** Whether a stream gets colours: on a terminal, unless NO_COLOR is set; FORCE_COLOR has them anywhere. */
export function hasColour(
  { isTTY }: { readonly isTTY?: boolean },
  { FORCE_COLOR: force = '', NO_COLOR: no = '', TERM }: Readonly<Record<string, string | undefined>>,
): boolean {
  if (force !== '') return force !== '0';
  return no === '' && TERM !== 'dumb' && isTTY === true;
}

/** Writes a line to stderr, since stdout holds the result only. */
export function remark(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Prints a warning about a file of a checkpoint that was left out. */
export const warn: WarningListener = ({ message }) => remark(`warning: ${message}`);
