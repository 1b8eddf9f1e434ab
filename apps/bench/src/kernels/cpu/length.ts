/**
 * Measures how time grows with length on the cpu backend: the slope of log time over log length for the scan alone and
 * for the prefill of a small model (1.00 is linear), and a token's time after 2^4 and after 2^20 tokens, really fed.
 * One thread is measured in processor time, several by the clock. Node only.
 */
import process from 'node:process';
import { seededWeights } from '@mamba/conformance';
import { createModel, type Model, type ModelState, modelConfig } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { type Mode, PLACE_OPTIONS } from '../../machine/modes.ts';
import { logLogSlope, quantile } from '../../timing/statistics.ts';
import { scan } from './cases.ts';
import { processorTime } from './processor-time.ts';

export interface LengthRequest {
  /** Absent: the backend's default. */
  readonly mode?: Mode | undefined;
  readonly threads: number;
  readonly quick: boolean;
}

export interface LengthReport {
  readonly engine: string;
  readonly description: string;
  readonly slopes: readonly LengthSlope[];
  readonly decode: readonly DecodeTime[];
}

export interface LengthSlope {
  readonly name: string;
  readonly slope: number;
  /** The least time of a step at each length. */
  readonly points: readonly { readonly length: number; readonly microsecondsPerStep: number }[];
}

/** Microseconds of a token after `length` tokens. */
export interface DecodeTime {
  readonly length: number;
  readonly least: number;
  readonly median: number;
}

interface LengthCase {
  readonly length: number;
  run(): void;
}

const VOCABULARY = 1000;

export async function measureLength({ mode, threads, quick }: LengthRequest): Promise<LengthReport> {
  const backend = await cpu({ threads, ...(mode && PLACE_OPTIONS[mode]) }).create();
  const clock = threads > 1 ? () => performance.now() : processorTime;
  const lengths = Array.from({ length: quick ? 3 : 9 }, (_, index) => 2 ** (9 + index));
  const config = modelConfig({ layers: 2, dModel: 128, vocabSize: VOCABULARY });
  const model = await createModel(backend, config, seededWeights(config, 1));
  const scans = lengths.map((length) => ({ length, run: scan(backend, { state: 16, dim: 64, length }, false) }));
  const prefills = lengths.slice(0, 6).map((length) => ({
    length,
    run: () => model.forward(tokens(length), { logits: 'none' }).state.dispose(),
  }));
  const slopes = [
    slopeOf('selectiveScan, dim 64, 16 states', scans, clock),
    slopeOf('prefill, d_model 128, 2 layers', prefills, clock),
  ];
  const decode = measureDecode(model, quick ? [2 ** 4, 2 ** 10] : [2 ** 4, 2 ** 20], clock, quick ? 20 : 200);
  const { description } = backend;
  model.dispose();
  await backend.dispose();
  return { engine: `Node ${process.versions.node}`, description, slopes, decode };
}

function tokens(count: number): Int32Array[] {
  return [Int32Array.from({ length: count }, (_, index) => (index * 7919) % VOCABULARY)];
}

/**
 * Measures the slope of the cases, which take turns. Short lengths are repeated until they take as long as the longest,
 * and the least time counts.
 */
function slopeOf(name: string, cases: readonly LengthCase[], clock: () => number): LengthSlope {
  const longest = cases.at(-1)!.length;
  const least = cases.map(() => Number.POSITIVE_INFINITY);
  for (let turn = 0; turn < 6; turn++) {
    for (const [index, { length, run }] of cases.entries()) {
      for (let repeat = 0; repeat < Math.min(64, longest / length); repeat++) {
        const start = clock();
        run();
        if (turn > 0) least[index] = Math.min(least[index]!, clock() - start);
      }
    }
  }
  const slope = logLogSlope(cases.map(({ length }, index) => ({ x: length, y: least[index]! })));
  const points = cases.map(({ length }, index) => ({ length, microsecondsPerStep: (least[index]! * 1000) / length }));
  return { name, slope, points };
}

function measureDecode(model: Model, lengths: readonly number[], clock: () => number, turns: number): DecodeTime[] {
  const contexts = lengths.map((length) => ({ length, state: fed(model, length), times: [] as number[] }));
  const count = 64;
  for (let turn = 0; turn < turns; turn++) {
    for (const { state, times } of contexts) {
      const start = clock();
      const decoded = model.decode([[1]], state, { count });
      times.push(((clock() - start) / count) * 1000);
      decoded.ids.dispose();
      decoded.state.dispose();
    }
  }
  return contexts.map(({ length, state, times }) => {
    state.dispose();
    // The first turns warm up.
    const settled = times.slice(10);
    return { length, least: Math.min(...settled), median: quantile(settled, 0.5) };
  });
}

/** Returns the state after `length` tokens, which are fed in pieces. */
function fed(model: Model, length: number): ModelState {
  const piece = tokens(Math.min(2 ** 16, length));
  let state: ModelState | undefined;
  for (let count = 0; count < length; count += piece[0]!.length)
    state = model.forward(piece, { state, logits: 'none', donateState: state !== undefined }).state;
  return state!;
}
