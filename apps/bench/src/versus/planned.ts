/** The memory that a system would take, before it is asked to take it. */
import type { Measure } from '../schema/versus.ts';
import { createPlanner, type Planner } from './planned-memory.ts';
import { type HostParameter, Subject, TrainedSubject } from './subject.ts';
import type { SizedSystem } from './systems.ts';

/**
 * Bytes of a plan beyond which longer sequences are not planned: some compositions make values on the host, masks for
 * example, and would take that memory for a plan alone.
 */
const LARGE = 2 ** 32;

/**
 * Plans a system's calls. The plan is of the block as it is composed of operations, without their scratch memory: what
 * a backend took for a shorter sequence, over its plan, corrects that.
 */
export class PlannedMemory {
  readonly #planner: Planner = createPlanner();
  readonly #plans = new Map<string, number | undefined>();
  /** The shortest length whose plan is large, by measure. */
  readonly #large = new Map<Measure, number>();
  readonly #open: { readonly forward: () => Subject; readonly train: () => TrainedSubject };
  readonly #batch: number;
  readonly #dModel: number;
  readonly #taken = new Map<Measure, { readonly length: number; readonly bytes: number }>();

  constructor(system: SizedSystem, parameters: readonly HostParameter[], size: { batch: number; dModel: number }) {
    this.#batch = size.batch;
    this.#dModel = size.dModel;
    const { backend } = this.#planner;
    this.#open = {
      forward: () => new Subject(backend, system, size.dModel, parameters),
      train: () => new TrainedSubject(backend, system, parameters),
    };
  }

  /** Notes the bytes that a call really took. */
  took(measure: Measure, length: number, bytes: number): void {
    this.#taken.set(measure, { length, bytes });
  }

  /** Bytes that a call would take at most, weights and input included. */
  bytes(measure: Measure, length: number): number {
    const taken = this.#taken.get(measure);
    const planned = this.#plan(measure, length);
    if (taken === undefined) return planned;
    const ratio = taken.bytes / this.#plan(measure, taken.length);
    return Math.max(taken.bytes, planned * ratio);
  }

  #plan(measure: Measure, length: number): number {
    const exact = this.#exact(measure, length);
    if (exact !== undefined) return exact;
    // The plan takes too many operations or values, so the parabola through up to three shorter ones stands for it.
    const points: [number, number][] = [];
    for (let shorter = length / 2; shorter >= 8 && points.length < 3; shorter /= 2) {
      const bytes = this.#exact(measure, Math.floor(shorter));
      if (bytes !== undefined) points.push([Math.floor(shorter), bytes]);
    }
    return parabola(points, length);
  }

  #exact(measure: Measure, length: number): number | undefined {
    const key = `${measure} ${length}`;
    const large = this.#large.get(measure) ?? Number.POSITIVE_INFINITY;
    if (this.#plans.has(key)) return this.#plans.get(key);
    const bytes = length > large ? undefined : this.#run(measure, length);
    if (bytes !== undefined && bytes > LARGE) this.#large.set(measure, Math.min(large, length));
    this.#plans.set(key, bytes);
    return bytes;
  }

  #run(measure: Measure, length: number): number | undefined {
    const x = this.#planner.tensor([this.#batch, length, this.#dModel]);
    const open = measure === 'train' ? this.#open.train() : this.#open.forward();
    try {
      return this.#planner.peak(() => {
        if (open instanceof TrainedSubject) open.step(x, x);
        else open.forward(x);
      });
    } finally {
      open.dispose();
      x.dispose();
    }
  }
}

/** The value at x of the parabola through three points; of the line through two, of the one there is. */
function parabola(points: readonly (readonly [number, number])[], x: number): number {
  return points.reduce(
    (sum, [xi, yi], i) =>
      sum + points.reduce((product, [xj], j) => (i === j ? product : (product * (x - xj)) / (xi - xj)), yi),
    0,
  );
}
