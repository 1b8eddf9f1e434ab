import { isMambaError } from '@mamba/core';
import type { LoadOptions } from '@mamba/lm';
import type { WorkerLanguageModel, WorkerSession } from '@mamba/lm/worker';
import { locate, type Source } from './source.ts';
import { Engine } from './worker/engine.ts';
import type { BackendName } from './worker/protocol.ts';

/** The type that matrices are stored in on the backend. */
export type Weights = NonNullable<LoadOptions['weights']>;

export interface LoadedModel {
  readonly lm: WorkerLanguageModel;
  readonly engine: Engine;
  readonly title: string;
}

/** How far a load is. */
export interface Progress {
  readonly what: string;
  readonly done: number;
  readonly total: number;
  readonly unit: 'bytes' | 'tensors';
}

interface OpenOptions {
  readonly backend: BackendName;
  readonly weights: Weights;
  readonly signal?: AbortSignal | undefined;
  /** A worker that runs already, on that backend. Default: a new one, which ends where the load fails. */
  readonly engine?: Engine | undefined;
  readonly onProgress: (progress: Progress) => void;
}

/** Loads a model in a worker, and opens an empty session of it. */
export async function openModel(
  source: Source,
  { backend, weights, signal, engine: running, onProgress }: OpenOptions,
): Promise<{ readonly model: LoadedModel; readonly session: WorkerSession }> {
  const { location, title } = locate(source);
  const engine = running ?? (await Engine.start(backend));
  try {
    const lm = await engine.connection.load(location, {
      ...{ signal, weights },
      onDownload: ({ file, bytes, totalBytes }) =>
        onProgress({ what: `Downloading ${file}`, done: bytes, total: totalBytes, unit: 'bytes' }),
      onProgress: (done, total) => onProgress({ what: 'Tensors loaded', done, total, unit: 'tensors' }),
    });
    return { model: { lm, engine, title }, session: await lm.createSession() };
  } catch (error) {
    if (engine !== running) engine.end();
    throw error;
  }
}

/**
 * Notes that the device or the worker of a model is gone, where the error tells of that. The text can still be read,
 * and the next load starts another worker.
 */
export function noticeLoss({ engine }: LoadedModel, error: unknown): void {
  if (engine.connection.failure !== undefined) engine.end();
  else if (isMambaError(error, 'device-lost')) engine.lost = true;
}
