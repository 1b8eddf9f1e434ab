/** Shows the progress of a run on stderr: a bar with the time left on a terminal, brief lines elsewhere. */
import type { Writable } from 'node:stream';
import { SingleBar } from 'cli-progress';
import { formatWait } from './format.ts';
import type { Style } from './style.ts';

export interface Progress {
  /** Seconds of work to come, roughly. */
  begin(seconds: number): void;
  step(label: string): void;
  advance(seconds: number): void;
  /** Takes the bar away while something else is written. */
  suspend(write: () => void): void;
  end(): void;
}

export type ProgressStream = Writable & { readonly isTTY?: boolean | undefined; readonly columns?: number | undefined };

export function createProgress(stream: ProgressStream, style: Style): Progress {
  return stream.isTTY === true ? new BarProgress(stream, style) : new LineProgress(stream);
}

class BarProgress implements Progress {
  readonly #bar: SingleBar;
  #total = 1;
  #done = 0;
  #start = performance.now();
  #label = '';
  #active = false;

  constructor(stream: ProgressStream, style: Style) {
    this.#bar = new SingleBar({
      stream,
      clearOnComplete: true,
      hideCursor: true,
      linewrap: false,
      noTTYOutput: false,
      autopadding: false,
      fps: 20,
      format: (_, { progress }, payload: { label: string; left: string }) =>
        renderBar(progress, payload, { style, width: stream.columns ?? 80 }),
    });
  }

  begin(seconds: number): void {
    this.#total = Math.max(seconds, 1e-3);
    this.#done = 0;
    this.#start = performance.now();
    this.#draw();
  }

  step(label: string): void {
    this.#label = label;
    this.#draw();
  }

  advance(seconds: number): void {
    this.#done += seconds;
    this.#draw();
  }

  suspend(write: () => void): void {
    this.#stop();
    write();
    this.#draw();
  }

  end(): void {
    this.#stop();
  }

  #draw(): void {
    const payload = { label: this.#label, left: this.#left() };
    const value = Math.min(this.#done / this.#total, 1);
    if (this.#active) {
      this.#bar.update(value, payload);
    } else {
      this.#bar.start(1, value, payload);
      this.#active = true;
    }
    this.#bar.render?.();
  }

  /** The time left: by the pace so far once a tenth is done, by the estimate before. */
  #left(): string {
    const elapsed = (performance.now() - this.#start) / 1000;
    const share = this.#done / this.#total;
    const left = share > 0.1 ? (elapsed / share) * (1 - share) : this.#total - this.#done;
    return `${formatWait(left)} left`;
  }

  #stop(): void {
    if (!this.#active) return;
    this.#bar.stop();
    this.#active = false;
  }
}

/** One line of any terminal, cut to its width: `━━━━━━  12 %  scan/length-512: timing  1 min 20 s left`. */
export function renderBar(
  progress: number,
  { label, left }: { readonly label: string; readonly left: string },
  { style, width }: { readonly style: Style; readonly width: number },
): string {
  const size = width >= 72 ? 20 : 8;
  const filled = Math.round(progress * size);
  const bar = style.cyan('━'.repeat(filled)) + style.dim('━'.repeat(size - filled));
  const head = `${bar} ${String(Math.round(progress * 100)).padStart(3)} %`;
  // The last column stays free: some terminals break the line there.
  const room = width - 1 - (size + 6) - 2 - 2 - left.length;
  if (room < 6) return width - 1 >= size + 8 + left.length ? `${head}  ${style.dim(left)}` : head;
  const shown = label.length > room ? `${label.slice(0, room - 1)}…` : label.padEnd(room);
  return `${head}  ${shown}  ${style.dim(left)}`;
}

class LineProgress implements Progress {
  readonly #stream: ProgressStream;
  #last = '';
  /** True while a line is not ended. */
  #open = false;

  constructor(stream: ProgressStream) {
    this.#stream = stream;
  }

  begin(seconds: number): void {
    this.#close();
    this.#stream.write(`measuring, about ${formatWait(seconds)} …\n`);
  }

  /** One line for each case with its steps: `scan/length-512: reference, checking cpu, timing`. */
  step(label: string): void {
    const [title = '', what] = label.split(': ');
    const begun = title === this.#last;
    this.#last = title;
    this.#stream.write(begun ? `, ${what ?? title}` : `${this.#open ? '\n' : ''}  ${label}`);
    this.#open = true;
  }

  advance(): void {}

  suspend(write: () => void): void {
    this.#close();
    write();
  }

  end(): void {
    this.#close();
  }

  #close(): void {
    if (this.#open) this.#stream.write('\n');
    this.#open = false;
    this.#last = '';
  }
}
