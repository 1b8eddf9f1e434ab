import { Presets, SingleBar } from 'cli-progress';
import type { StepMetrics } from '../trainer/trainer.ts';

/** Writes a line to stderr, since stdout holds the results only. */
export function remark(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** How a training tells what it does. */
export interface Display {
  step(metrics: StepMetrics): void;
  /** A line of results. */
  print(line: string): void;
  stop(): void;
}

/** Seconds between two lines of progress where there is no terminal. */
const SECONDS = 10;

/**
 * A bar on a terminal, and a line of progress every ten seconds elsewhere.
 * @param first Steps that were done before. @param steps Steps of the whole training.
 */
export function display(first: number, steps: number): Display {
  const start = performance.now();
  const left = (step: number): string => {
    const seconds = (performance.now() - start) / 1000;
    return duration((seconds / (step - first)) * (steps - step));
  };
  if (process.stderr.isTTY) return barDisplay(first, steps, left);
  let last = start;
  return {
    step(metrics) {
      if (performance.now() - last < SECONDS * 1000) return;
      last = performance.now();
      remark(`${describe(metrics, steps)}, ${left(metrics.step)} left`);
    },
    print: (line) => void process.stdout.write(`${line}\n`),
    stop() {},
  };
}

function barDisplay(first: number, steps: number, left: (step: number) => string): Display {
  const bar = new SingleBar(
    {
      format: '{bar} {value}/{total}  loss {loss}  {speed} tokens/s  {left} left',
      ...{ stream: process.stderr, clearOnComplete: true, hideCursor: true },
    },
    Presets.shades_classic,
  );
  let shown = { step: first, payload: { loss: '…', speed: '…', left: '…' } };
  const begin = (): void => bar.start(steps, shown.step, shown.payload);
  begin();
  return {
    step({ step, loss, tokensPerSecond }) {
      shown = { step, payload: { loss: loss.toFixed(4), speed: short(tokensPerSecond), left: left(step) } };
      bar.update(step, shown.payload);
    },
    print(line) {
      bar.stop();
      process.stdout.write(`${line}\n`);
      begin();
    },
    stop: () => bar.stop(),
  };
}

function describe({ step, loss, norm, tokensPerSecond }: StepMetrics, steps: number): string {
  return `step ${step} of ${steps}: loss ${loss.toFixed(4)}, norm ${norm.toFixed(2)}, ${short(tokensPerSecond)} tokens/s`;
}

/** 12.3k for 12345. */
function short(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)}M`;
  return value >= 1e3 ? `${(value / 1e3).toFixed(1)}k` : value.toFixed(0);
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
