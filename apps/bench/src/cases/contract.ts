/**
 * What the bench runs: a case is checked on a backend, then its measurements are timed there. Inputs and tolerances come from
 * the conformance package's builders.
 */
import type { Backend, DType, HostArray } from '@mamba/core';
import type { Work } from './work.ts';

export interface BenchCase {
  readonly suite: SuiteName;
  readonly id: string;
  readonly measurements: readonly MeasurementSpec[];
  /** How matrices are stored; absent means the backend's precision. */
  readonly weights?: DType | undefined;
  /** Largest error relative to each tensor's largest reference value, for float32. */
  readonly tolerance: number;
  /** What the check compares, in words. */
  readonly checked: string;
  /** Operations that the reference needs for the check: what it costs. */
  readonly checkOperations: number;
  /** Its measurements are to be compared with each other: they take turns as backends do. */
  readonly together?: boolean | undefined;
  /** Bytes of memory that so many candidates take, and the reference, where that may be more than a machine has. */
  readonly needs?: ((candidates: number) => number) | undefined;
  /** The reference's results. Asked once in a run. */
  expected(reference: Backend, pause: Pause): Promise<Values>;
  prepare(backend: Backend, pause: Pause): Promise<BackendCase>;
}

/** To be awaited now and then in long work: lets the event loop run, and throws where the run is to stop. */
export type Pause = () => Promise<void>;

/** `peers` is measured in a stage of its own. */
export const SUITE_NAMES = [
  'scan',
  'conv',
  'linear',
  'block',
  'model',
  'batch',
  'context',
  'quantised',
  'peers',
] as const;
export type SuiteName = (typeof SUITE_NAMES)[number];
export type Values = Readonly<Record<string, HostArray>>;

export interface MeasurementSpec {
  /** `scan/length-512`; what results are compared by. */
  readonly id: string;
  readonly shape: Readonly<Record<string, number>>;
  /** What one call makes: 512 tokens, 8388608 state steps. */
  readonly items: number;
  readonly unit: string;
  /**
   * What one call cannot do without, where an activation takes `bytesPerValue` and a matrix's value `bytesPerWeight`. Absent where a
   * limit means nothing.
   */
  readonly work?: ((bytesPerValue: number, bytesPerWeight?: number) => Work) | undefined;
}

/** A case on a backend: inputs and weights are there. */
export interface BackendCase {
  /** This backend's results, as `expected` gives the reference's. */
  actual(): Promise<Values>;
  /** By the id of a measurement: how to run one call, or how long it took where it happened once, in `prepare`. */
  readonly measured: Readonly<Record<string, { readonly run: () => void } | { readonly seconds: number }>>;
  /** Bytes of a model's state for one sequence. */
  readonly stateBytes?: number | undefined;
  dispose(): void;
}

/** A group of cases that grow in length, and the name of that length. */
export interface Suite {
  readonly name: SuiteName;
  readonly summary: string;
  /** What its cases grow over, where the time's slope over it is of interest. */
  readonly sweep?: string | undefined;
  cases(options: CaseOptions): readonly BenchCase[];
}

export interface CaseOptions {
  readonly effort: Effort;
  /** Shapes for backends that are too slow for the full ones. */
  readonly slow: boolean;
  /** Instead of a suite's own. Slow backends keep to theirs. */
  readonly shapes?: ShapeChoice | undefined;
}

/** What a user may ask for instead of a suite's own shapes; empty or absent means the suite's. */
export interface ShapeChoice {
  readonly length?: readonly number[] | undefined;
  readonly batch?: readonly number[] | undefined;
  /** d_state of the scan. */
  readonly state?: readonly number[] | undefined;
  /** Names of sizes, `mamba-130m`. */
  readonly models?: readonly string[] | undefined;
  /** How matrices are stored. */
  readonly dtypes?: readonly DType[] | undefined;
}

/** The asked values, or else the suite's. */
export function chosen<T>(asked: readonly T[] | undefined, own: readonly T[]): readonly T[] {
  return asked === undefined || asked.length === 0 ? own : asked;
}

export type Effort = 'quick' | 'standard' | 'thorough';
