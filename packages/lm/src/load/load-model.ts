import {
  type Checkpoint,
  type CheckpointLocation,
  openCheckpoint,
  type UrlOptions,
  type WarningListener,
} from '@mamba/checkpoint';
import {
  type Backend,
  type CreateModelOptions,
  checkModelFits,
  createModel,
  type ModelConfig,
  modelParameters,
} from '@mamba/core';
import type { DownloadProgress } from '../hub/hub.ts';
import { LanguageModel } from '../language-model.ts';
import { checkpointTokenizer, Tokenizer } from '../tokenizer/tokenizer.ts';
import { fingerprinting } from './fingerprint.ts';

/** How `loadModel` loads a checkpoint, and what it is told of meanwhile. */
export interface LoadOptions extends Pick<CreateModelOptions, 'onProgress' | 'signal'> {
  /**
   * Dtype of the weight matrices on the backend. `stored` keeps the type of the checkpoint (F16, BF16 or Q8_0) if all
   * matrices share it and the backend supports it, so that they take no more memory than in the file; otherwise it is
   * the default. Default: the backend's precision.
   */
  readonly weights?: CreateModelOptions['weights'] | 'stored';
  /** Called while the files of a location on the hub are downloaded. */
  readonly onDownload?: ((progress: DownloadProgress) => void) | undefined;
  /** Sent with every request to an http(s) location. */
  readonly headers?: UrlOptions['headers'];
  /**
   * The tokenizer, or the location of its files (the same kinds as for the model), if they are not beside the weights.
   */
  readonly tokenizer?: CheckpointLocation | Tokenizer | undefined;
  /** Called for every optional file that cannot be used and is left out. Default: console.warn. */
  readonly onWarning?: WarningListener | undefined;
}

/**
 * Loads a checkpoint onto a backend, tensor by tensor. `location` is a folder or a GGUF file (Node), an http(s)
 * address of either, `hf:owner/name` of the Hugging Face hub (`hub` of `@mamba/lm/hub` takes options), a list of File,
 * or a store.
 * @throws MambaError `invalid-file`, `unsupported`, `unavailable`, `out-of-memory`, `aborted`. After an error no file
 * is left open and no tensor on the backend.
 */
export async function loadModel(
  backend: Backend,
  location: CheckpointLocation,
  options: LoadOptions = {},
): Promise<LanguageModel> {
  const { headers, signal, onWarning, tokenizer, weights } = options;
  const tokenizerLocation = tokenizer instanceof Tokenizer ? undefined : tokenizer;
  const checkpoint = await openCheckpoint(await resolveLocation(location, options), {
    ...{ headers, signal, onWarning },
    checkConfig: (config) => checkFits(backend, config, weights),
    ...(tokenizerLocation !== undefined && { tokenizer: await resolveLocation(tokenizerLocation, options) }),
  });
  try {
    return await loadCheckpoint(backend, checkpoint, options);
  } finally {
    await checkpoint.close();
  }
}

/**
 * Loads a checkpoint that is already open, and leaves it open. `headers`, `onDownload` and `onWarning`, and the
 * tokenizer's location, were used when it was opened and are ignored here.
 */
export async function loadCheckpoint(
  backend: Backend,
  checkpoint: Checkpoint,
  { headers: _, onDownload: __, onWarning: ___, tokenizer: given, weights, ...options }: LoadOptions = {},
): Promise<LanguageModel> {
  const tokenizer = given instanceof Tokenizer ? given : await checkpointTokenizer(checkpoint);
  const { source, digest } = fingerprinting(checkpoint.config, checkpoint.source);
  const dtype = weights === 'stored' ? storedDtype(backend, checkpoint) : weights;
  const model = await createModel(backend, checkpoint.config, source, { ...options, weights: dtype });
  return new LanguageModel(checkpoint, model, tokenizer, digest());
}

/**
 * Checks, before any weight is downloaded, that the backend has room for the model. Skipped for `stored`: those dtypes
 * are known only once the weights are opened.
 * @throws MambaError `out-of-memory`, `unsupported`
 */
export function checkFits(backend: Backend, config: ModelConfig, weights: LoadOptions['weights']): void {
  if (weights !== 'stored') checkModelFits(backend, config, weights);
}

const STORED_DTYPES: ReadonlyMap<string, NonNullable<CreateModelOptions['weights']>> = new Map([
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  // Both have blocks of 32 values with one scale.
  ['Q8_0', 'q8'],
]);

/** The dtype that keeps every matrix as it is stored; undefined if they differ or the backend lacks it. */
function storedDtype(backend: Backend, { config, storedType }: Checkpoint): CreateModelOptions['weights'] {
  const matrices = modelParameters(config).filter(({ role }) => role === 'matrix');
  const types = new Set(matrices.map((parameter) => storedType(parameter)));
  const dtype = types.size === 1 ? STORED_DTYPES.get([...types][0]!) : undefined;
  const supported = matrices.every(
    ({ shape }) => backend.supportsUpload({ dtype: 'float32', shape }, { dtype, role: 'matrix' }).supported,
  );
  return supported ? dtype : undefined;
}

/** Turns `hf:…` into a store of the hub; the hub's code is imported only then. */
async function resolveLocation(
  location: CheckpointLocation,
  { signal, onDownload }: LoadOptions,
): Promise<CheckpointLocation> {
  if (typeof location !== 'string' || !location.startsWith('hf:')) return location;
  const { hub } = await import('../hub/hub.ts');
  return hub(location, { signal, onProgress: onDownload });
}
