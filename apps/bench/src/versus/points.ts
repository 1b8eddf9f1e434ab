/** Measures one system on one backend over lengths. */
import { type Backend, type BlockState, type Capture, isMambaError, type Tensor } from '@mamba/core';
import { disposeAll } from '@mamba/core/toolkit';
import type { Pause } from '../cases/contract.ts';
import { messageOf, Stopped } from '../errors.ts';
import type { TimeSummary } from '../schema/report.ts';
import type { Measure, VersusPoint } from '../schema/versus.ts';
import { localTimer, MIN_SAMPLE, sampleInterleaved } from '../timing/sample.ts';
import { PlannedMemory } from './planned.ts';
import { type HostParameter, hostInput, Subject, TrainedSubject } from './subject.ts';
import type { SizedSystem } from './systems.ts';

export interface PointOptions {
  readonly backend: Backend;
  /** The name of the backend in results. */
  readonly name: string;
  readonly dModel: number;
  readonly batch: number;
  /** Ascending. */
  readonly lengths: readonly number[];
  readonly measures: readonly Measure[];
  /** Seconds that one call may take. */
  readonly seconds: number;
  /** Milliseconds for the samples of a point. */
  readonly budget: number;
  /** Bytes that a call may take. */
  readonly memory: number;
  readonly pause: Pause;
  /** Milliseconds of the clock that times are taken by. */
  now(): number;
  /** Called before a point is measured, and with each point. */
  begin(measure: Measure, length: number): void;
  add(point: VersusPoint): void;
}

/** Measures the whole sequence and the step after it at each length, and then the training at each length. */
export async function measurePoints(
  system: SizedSystem,
  parameters: readonly HostParameter[],
  options: PointOptions,
): Promise<void> {
  const planned = new PlannedMemory(system, parameters, options);
  const { measures } = options;
  if (measures.includes('forward') || measures.includes('step'))
    await new Sweep(system, planned, options, ['forward', 'step']).run(() => openForward(system, parameters, options));
  if (measures.includes('train'))
    await new Sweep(system, planned, options, ['train']).run(() => openTraining(system, parameters, options));
}

/** A system's block whose calls are measured. */
interface Opened {
  /** The calls at a length. `holds` are its tensors, which the sweep disposes. */
  prepare(length: number): Prepared;
  dispose(): void;
}

interface Prepared {
  /** The calls in their order. A later one may need what the first call of an earlier one left. */
  readonly calls: readonly Call[];
  dispose(): void;
}

interface Call {
  readonly measure: Measure;
  /** Tokens that a call takes in. */
  readonly tokens: number;
  /** Called before `first`. */
  begin?(): void;
  /** The very first call, whose memory is counted. Gives values to look at. */
  first(): Tensor;
  run(): void;
  /** Bytes of one sequence's state, after `first`. */
  stateBytes?(): number;
  /** Whether the call is captured where the backend can do that, as generation and training do. */
  readonly captured: boolean;
}

/** A capture holds all that lies between its operations: calls that take more are made anew each time. */
const MOST_CAPTURED = 2 ** 30;

/** One pass over the lengths. A measure ends at the first length that it cannot have. */
class Sweep {
  readonly #system: SizedSystem;
  readonly #planned: PlannedMemory;
  readonly #options: PointOptions;
  readonly #measures: readonly Measure[];
  /** The measures that have ended. */
  readonly #ended = new Set<Measure>();
  readonly #measured = new Map<Measure, { readonly length: number; readonly seconds: number }[]>();

  constructor(system: SizedSystem, planned: PlannedMemory, options: PointOptions, measures: readonly Measure[]) {
    this.#system = system;
    this.#planned = planned;
    this.#options = options;
    this.#measures = measures;
  }

  async run(open: () => Opened): Promise<void> {
    const { lengths, pause } = this.#options;
    let opened: Opened | undefined;
    try {
      for (const length of lengths) {
        await pause();
        if (this.#refuseBeforehand(length)) continue;
        try {
          opened ??= open();
          await this.#at(opened, length);
        } catch (error) {
          if (error instanceof Stopped) throw error;
          this.#end(this.#measures[0]!, length, this.#outcomeOf(error, this.#measures[0]!, length));
          for (const measure of this.#measures) this.#ended.add(measure);
        }
      }
    } finally {
      opened?.dispose();
    }
  }

  /** Adds points for what this length cannot have. Returns whether nothing is left to measure. */
  #refuseBeforehand(length: number): boolean {
    const { memory, seconds } = this.#options;
    const first = this.#measures[0]!;
    if (this.#ended.has(first)) return true;
    const bytes = this.#planned.bytes(first, length);
    if (bytes > memory) {
      // Longer sequences are refused as well, each with the memory that it would take.
      this.#add(first, length, { status: 'refused', refused: { bytes, limit: memory } });
      return true;
    }
    const expected = this.#expected(first, length);
    if (expected !== undefined && expected > seconds) {
      this.#end(first, length, {
        status: 'stopped',
        expected,
        reason: `a call would take about ${expected.toPrecision(2)} s, where ${seconds} s are allowed`,
      });
      return true;
    }
    return false;
  }

  async #at(opened: Opened, length: number): Promise<void> {
    const prepared = opened.prepare(length);
    try {
      for (const call of prepared.calls) {
        if (this.#ended.has(call.measure)) continue;
        this.#options.begin(call.measure, length);
        await this.#options.pause();
        try {
          await this.#measure(call, length);
        } catch (error) {
          // What follows needs what the first call leaves.
          if (error instanceof Stopped || call.measure === this.#measures[0]) throw error;
          this.#end(call.measure, length, this.#outcomeOf(error, call.measure, length));
        }
      }
    } finally {
      prepared.dispose();
    }
  }

  async #measure(call: Call, length: number): Promise<void> {
    const { backend, batch, now } = this.#options;
    const { measure } = call;
    call.begin?.();
    const start = now();
    let found: Tensor | undefined;
    const peak = backend.peakBytes(() => {
      found = call.first();
    });
    const last = found!;
    try {
      await backend.synchronize();
      const first = (now() - start) / 1000;
      const values = await backend.read(last);
      if (!values.every(Number.isFinite)) throw new Error('its last values are not finite');
      last.dispose();
      const state = call.stateBytes?.();
      this.#planned.took(measure, length, peak);
      const wanted = this.#options.measures.includes(measure);
      const time = wanted ? await this.#time(call, { first, peak }) : undefined;
      const seconds = time?.median ?? first;
      this.#measured.set(measure, [...(this.#measured.get(measure) ?? []), { length, seconds }]);
      if (time === undefined) return;
      this.#add(measure, length, {
        status: 'measured',
        time,
        perSecond: (batch * call.tokens) / time.median,
        memory: { peak, ...(state !== undefined && { state }) },
      });
    } finally {
      last.dispose();
    }
  }

  /** A call that takes longer than its budget is timed once; shorter ones as often as the sampler wants. */
  async #time(
    { run, captured }: Call,
    { first, peak }: { readonly first: number; readonly peak: number },
  ): Promise<TimeSummary> {
    const { backend, budget, pause, now } = this.#options;
    let capture: Capture<void> | undefined;
    try {
      if (captured && peak <= MOST_CAPTURED) capture = captureOf(backend, run);
      const call = capture === undefined ? run : () => capture!.replay([]);
      const timer = localTimer({ run: call, synchronize: () => backend.synchronize() }, now);
      await pause();
      const seconds = (await timer.time(1)) / 1000;
      if (seconds * 1000 > budget)
        return { median: seconds, p10: seconds, p90: seconds, n: 1, callsPerSample: 1, first };
      const options = { budget, minSamples: 3, precision: 0.01, minSample: MIN_SAMPLE, pause };
      const [outcome] = await sampleInterleaved([timer], options);
      if (outcome === undefined || 'error' in outcome) throw outcome?.error;
      return { ...outcome.time, first };
    } finally {
      capture?.dispose();
    }
  }

  /** Seconds that a call will take, as the two longest that were measured suggest. */
  #expected(measure: Measure, length: number): number | undefined {
    const measured = this.#measured.get(measure) ?? [];
    const [before, last] = measured.slice(-2);
    if (before === undefined) return undefined;
    if (last === undefined) return (before.seconds * length) / before.length;
    const slope = Math.log(last.seconds / before.seconds) / Math.log(last.length / before.length);
    return last.seconds * (length / last.length) ** Math.min(Math.max(slope, 0), 2.2);
  }

  #outcomeOf(error: unknown, measure: Measure, length: number): Omit<VersusPoint, keyof PointKey> {
    const reason = messageOf(error);
    if (isMambaError(error, 'unsupported')) return { status: 'unsupported', reason };
    if (isMambaError(error, 'out-of-memory')) {
      const limit = this.#options.memory;
      // It was thought to fit, so that the plan is no more than a lower bound.
      return { status: 'refused', refused: { bytes: this.#planned.bytes(measure, length), limit }, reason };
    }
    return { status: 'failed', reason };
  }

  #end(measure: Measure, length: number, outcome: Omit<VersusPoint, keyof PointKey>): void {
    this.#ended.add(measure);
    this.#add(measure, length, outcome);
  }

  #add(measure: Measure, length: number, outcome: Omit<VersusPoint, keyof PointKey>): void {
    if (!this.#options.measures.includes(measure)) return;
    this.#options.add({ system: this.#system.name, backend: this.#options.name, measure, length, ...outcome });
  }
}

type PointKey = Pick<VersusPoint, 'system' | 'backend' | 'measure' | 'length'>;

/** The calls as they are prepared once and sent again; undefined where the backend cannot, or has no room for it. */
function captureOf(backend: Backend, run: () => void): Capture<void> | undefined {
  try {
    return backend.capture?.([], run);
  } catch (error) {
    if (isMambaError(error, 'out-of-memory') || isMambaError(error, 'unsupported')) return undefined;
    throw error;
  }
}

function openForward(
  system: SizedSystem,
  parameters: readonly HostParameter[],
  { backend, dModel, batch, measures }: PointOptions,
): Opened {
  const subject = new Subject(backend, system, dModel, parameters);
  const steps = measures.includes('step') && system.remembers !== 'nothing';
  return {
    prepare(length) {
      const x = backend.upload(hostInput(batch, length, dModel));
      const idle = backend.memory().bytes;
      let state: BlockState = {};
      let stateBytes = 0;
      let next: Tensor | undefined;
      const forward: Call = {
        measure: 'forward',
        tokens: length,
        captured: false,
        first() {
          const result = subject.block.forward(x);
          state = result.state;
          const last = backend.slice(result.y, 1, length - 1, length);
          result.y.dispose();
          return last;
        },
        run: () => subject.forward(x),
      };
      const step: Call = {
        measure: 'step',
        tokens: 1,
        captured: true,
        begin() {
          stateBytes = backend.memory().bytes - idle;
          // A step takes no more of the sequence than its state.
          x.dispose();
          next = backend.upload(hostInput(batch, 1, dModel));
        },
        first() {
          const after = subject.block.forward(next!, { state, positions: new Array<number>(batch).fill(length) });
          disposeAll(Object.values(after.state));
          return after.y;
        },
        run: () => subject.step(next!, state, length),
        stateBytes: () => Math.round(stateBytes / batch),
      };
      return {
        calls: steps ? [forward, step] : [forward],
        dispose: () => disposeAll([x, next, ...Object.values(state)]),
      };
    },
    dispose: () => subject.dispose(),
  };
}

function openTraining(
  system: SizedSystem,
  parameters: readonly HostParameter[],
  { backend, dModel, batch }: PointOptions,
): Opened {
  const subject = new TrainedSubject(backend, system, parameters);
  return {
    prepare(length) {
      const x = backend.upload(hostInput(batch, length, dModel));
      const run = (): void => subject.step(x, x);
      const train: Call = {
        measure: 'train',
        tokens: length,
        captured: true,
        first() {
          const { y, gradients } = subject.gradients(x, x);
          const norm = backend.gradientNorm([...gradients.values()]);
          disposeAll([y, ...gradients.values()]);
          return norm;
        },
        run,
      };
      return { calls: [train], dispose: () => x.dispose() };
    },
    dispose: () => subject.dispose(),
  };
}
