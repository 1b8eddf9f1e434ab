/** What page and worker say beside the messages of `@mamba/lm/worker`, which go through a port of their own. */
import type { DeltaMap } from '../selection/deltas.ts';

export type BackendName = 'webgpu' | 'cpu';

export interface BackendReport {
  readonly name: BackendName;
  readonly available: boolean;
  /** A processor plays the GPU: it runs, but slowly. */
  readonly software: boolean;
  /** What it is, or why it is not available. */
  readonly words: string;
}

export interface DeltaRequest {
  /** A number for the model, by which its weights are found again. */
  readonly model: number;
  /** Where its weights are read from, the first time. */
  readonly location: string | readonly File[];
  /** As `Deltas.of` takes them. */
  readonly inputs: readonly (Float32Array | Float64Array)[];
}

/** Arguments and result. */
export interface Calls {
  probe: [argument: undefined, result: readonly BackendReport[]];
  /** Serves language models through the port, on this backend. */
  serve: [argument: { readonly backend: BackendName; readonly port: MessagePort }, result: undefined];
  deltas: [argument: DeltaRequest, result: DeltaMap];
  /** Frees the weights that `deltas` took. */
  release: [model: number, result: undefined];
}

export type Request = { readonly [K in keyof Calls]: { id: number; method: K; argument: Calls[K][0] } }[keyof Calls];

export type Response =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string };
