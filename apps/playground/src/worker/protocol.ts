/** The calls of the page, beside those of `@mamba/lm/worker`, which go through a port of their own. */
export type BackendName = 'webgpu' | 'cpu';

export interface BackendReport {
  readonly name: BackendName;
  readonly available: boolean;
  /** Whether the GPU is one in software, which is slow. */
  readonly software: boolean;
  /** A description of the backend, or the reason why it is not available. */
  readonly words: string;
}

/** Argument, result and event of each call. */
export interface Calls {
  probe: [argument: undefined, result: readonly BackendReport[], event: never];
  /** Serves language models through the port, on this backend. */
  serve: [argument: { readonly backend: BackendName; readonly port: MessagePort }, result: undefined, event: never];
}
