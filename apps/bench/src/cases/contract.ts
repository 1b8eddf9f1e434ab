/**
 * The bench's cases: each is checked on a backend, then its measurements are timed there. Inputs and tolerances come
 * from the builders of the conformance package.
 */
import type { Backend, DType, HostArray } from '@mamba/core';
import type { Work } from './work.ts';

export interface BenchCase {
  readonly suite: SuiteName;
  readonly id: string;
  readonly measurements: readonly MeasurementSpec[];
  /** The dtype of stored matrices. Absent: the backend's precision. */
  readonly weights?: DType | undefined;
  /** Largest error relative to each tensor's largest reference value, for float32. */
  readonly tolerance: number;
  /** The values that the check compares, in words. */
  readonly checked: string;
  /** Operations that the check takes on the reference. */
  readonly checkOperations: number;
  /** True where measurements are compared with each other: they take turns as backends do. */
  readonly together?: boolean | undefined;
  /** Bytes of memory that so many candidates and the reference take; given where a machine may have less. */
  readonly needs?: ((candidates: number) => number) | undefined;
  /** The reference's results; computed once in a run. */
  expected(reference: Backend, pause: Pause): Promise<Values>;
  prepare(backend: Backend, pause: Pause): Promise<BackendCase>;
}

/** Awaited now and then in long work: lets the event loop run, and throws where the run is to stop. */
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
  'small',
  'train',
  'peers',
] as const;
export type SuiteName = (typeof SUITE_NAMES)[number];
export type Values = Readonly<Record<string, HostArray>>;

export interface MeasurementSpec {
  /** The key by which results of two runs are compared: `scan/length-512`. */
  readonly id: string;
  readonly shape: Readonly<Record<string, number>>;
  /** The number of items that one call makes: 512 tokens, 8388608 state steps. */
  readonly items: number;
  readonly unit: string;
  /**
   * The least work of one call, where an activation takes `bytesPerValue` bytes and a weight of a matrix
   * `bytesPerWeight`. Absent where a limit means nothing.
   */
  readonly work?: ((bytesPerValue: number, bytesPerWeight?: number) => Work) | undefined;
}

/** A case whose inputs and weights are on a backend. */
export interface BackendCase {
  /** The backend's results, in the form of the case's `expected`. */
  actual(): Promise<Values>;
  /** One call of each measurement, by its id; or its seconds, where it happened once, in `prepare`. */
  readonly measured: Readonly<Record<string, { readonly run: () => void } | { readonly seconds: number }>>;
  /** Bytes of a model's state for one sequence. */
  readonly stateBytes?: number | undefined;
  /** Makes a call. Gives the bytes of live tensors at its most. */
  readonly peakBytes?: (() => number) | undefined;
  dispose(): void;
}

/** A group of cases that grow in length, and the name of that length. */
export interface Suite {
  readonly name: SuiteName;
  readonly summary: string;
  /** The extent over which the cases grow, where the slopes of time and of memory over it are of interest. */
  readonly sweep?: string | undefined;
  /** The shapes that a user may choose. Default: none. */
  readonly takes?: readonly (keyof ShapeChoice)[] | undefined;
  cases(options: CaseOptions): readonly BenchCase[];
}

export interface CaseOptions {
  readonly effort: Effort;
  /** Shapes for backends that are too slow for the full ones. */
  readonly slow: boolean;
  /** Shapes in place of a suite's own. Slow backends keep to theirs. */
  readonly shapes?: ShapeChoice | undefined;
}

/** Values that a user may choose in place of a suite's own; empty or absent: the suite's. */
export interface ShapeChoice {
  readonly length?: readonly number[] | undefined;
  readonly batch?: readonly number[] | undefined;
  /** d_state of the scan. */
  readonly state?: readonly number[] | undefined;
  /** Names of model sizes: `mamba-130m`. */
  readonly models?: readonly string[] | undefined;
  /** Dtypes of stored matrices. */
  readonly dtypes?: readonly DType[] | undefined;
}

/** The user's values, or else the suite's. */
export function chosen<T>(asked: readonly T[] | undefined, own: readonly T[]): readonly T[] {
  return asked === undefined || asked.length === 0 ? own : asked;
}

export type Effort = 'quick' | 'standard' | 'thorough';
