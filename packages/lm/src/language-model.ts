import {
  type ByteSource,
  type Checkpoint,
  type CheckpointLocation,
  openCheckpoint,
  type SpecialTokens,
  type UrlOptions,
  type WarningListener,
} from '@mamba/checkpoint';
import {
  type Backend,
  type CreateModelOptions,
  checkModelFits,
  createModel,
  invalid,
  MambaError,
  type Model,
  type ModelConfig,
  modelParameters,
} from '@mamba/core';
import { checkOptions } from '@mamba/core/toolkit';
import { Selection } from './blocks/mamba/selection.ts';
import { Batch, checkBatchable, runBatch } from './generate/batch.ts';
import { type Batcher, checkBatcher } from './generate/batcher.ts';
import { checkPrompt, generateTokens } from './generate/generate.ts';
import {
  GENERATE_KEYS,
  type GenerateTokensOptions,
  type Generation,
  resolveGeneration,
  type SpeculativeOptions,
} from './generate/options.ts';
import { type GeneratedPiece, makePieces, PieceMaker } from './generate/pieces.ts';
import type { DownloadProgress } from './hub/hub.ts';
import { type HiddenStateOptions, type HiddenStates, hiddenStates } from './score/hidden-states.ts';
import { type LogProbOptions, logProbs } from './score/log-probs.ts';
import { type Perplexity, type PerplexityOptions, perplexity } from './score/perplexity.ts';
import { fingerprinting } from './session/fingerprint.ts';
import { loadPlace, Session, type SessionOptions } from './session/session.ts';
import type { ChatMessage } from './tokenizer/chat-template.ts';
import { StopStrings } from './tokenizer/stop-strings.ts';
import { checkpointTokenizer, type EncodeChatOptions, Tokenizer } from './tokenizer/tokenizer.ts';

/** Text, or token ids where a checkpoint has no tokenizer. */
export type Prompt = string | ArrayLike<number>;

export interface LoadOptions extends Pick<CreateModelOptions, 'onProgress' | 'signal'> {
  /**
   * Dtype of the matrices on the backend. `stored`: as the checkpoint has them (F16, BF16, Q8_0), where all are alike
   * and the backend has the type, so that they take no more room than in the file; otherwise as by default. Default:
   * the backend's precision.
   */
  readonly weights?: CreateModelOptions['weights'] | 'stored';
  /** Of a location on the hub: while its files come. */
  readonly onDownload?: ((progress: DownloadProgress) => void) | undefined;
  /** Sent with every request to an http(s) location. */
  readonly headers?: UrlOptions['headers'];
  /** Where its files are, if not beside the weights: a location as the model's, or one that is made already. */
  readonly tokenizer?: CheckpointLocation | Tokenizer | undefined;
  /** Hears of what is left out: files that a model can do without and that cannot be used. Default: console.warn. */
  readonly onWarning?: WarningListener | undefined;
}

export interface GenerateOptions extends Omit<GenerateTokensOptions, 'draft'> {
  /** An empty one begins with the checkpoint's bos or eos token. */
  readonly prompt: Prompt;
  /** Default: the checkpoint's eos tokens. */
  readonly stopIds?: readonly number[] | undefined;
  /** Generation ends where one of these comes about in the text, which is not given, nor any part of it. */
  readonly stop?: string | readonly string[] | undefined;
  /** A smaller model of the same vocabulary that guesses ahead. */
  readonly draft?: LanguageModel | (Omit<SpeculativeOptions, 'model'> & { readonly model: LanguageModel }) | undefined;
  /** Run together with others that were given the same one. */
  readonly batcher?: Batcher | undefined;
}

/** A piece of one of several texts. */
export interface BatchPiece extends GeneratedPiece {
  /** Which of the requests it belongs to. */
  readonly index: number;
}

export interface Score {
  readonly ids: readonly number[];
  /** In nats: of every id but the first, given those before it. */
  readonly logProbs: Float64Array;
}

/**
 * Loads a checkpoint onto a backend, tensor by tensor. `location` is a folder or a GGUF file (Node), an http(s)
 * address of either, `hf:owner/name` of the Hugging Face hub (see `hub` of `@mamba/lm/hub`, which takes options), a
 * list of File, or a store.
 * @throws MambaError `invalid-file`, `unsupported`, `unavailable`, `out-of-memory`, `aborted`; nothing is left open or
 * uploaded then.
 */
export async function loadModel(
  backend: Backend,
  location: CheckpointLocation,
  options: LoadOptions = {},
): Promise<LanguageModel> {
  const { headers, signal, onWarning, tokenizer, weights } = options;
  const apart = tokenizer instanceof Tokenizer ? undefined : tokenizer;
  const checkpoint = await openCheckpoint(await resolveLocation(location, options), {
    ...{ headers, signal, onWarning },
    checkConfig: (config) => checkFits(backend, config, weights),
    ...(apart !== undefined && { tokenizer: await resolveLocation(apart, options) }),
  });
  try {
    return await loadCheckpoint(backend, checkpoint, options);
  } finally {
    await checkpoint.close();
  }
}

/**
 * As `loadModel`, out of a checkpoint that is open already, and stays so. Who hears of warnings, and where the
 * tokenizer is, was said when it was opened.
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

/** What the config says is too much is not downloaded. How weights are stored is known only when they are opened. */
export function checkFits(backend: Backend, config: ModelConfig, weights: LoadOptions['weights']): void {
  if (weights !== 'stored') checkModelFits(backend, config, weights);
}

const STORED: ReadonlyMap<string, NonNullable<CreateModelOptions['weights']>> = new Map([
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  // Blocks of 32 with one scale, there as here.
  ['Q8_0', 'q8'],
]);

/** The dtype that keeps every matrix as it is stored; undefined where there is none. */
function storedDtype(backend: Backend, { config, storedType }: Checkpoint): CreateModelOptions['weights'] {
  const matrices = modelParameters(config).filter(({ role }) => role === 'matrix');
  const types = new Set(matrices.map((parameter) => storedType(parameter)));
  const dtype = types.size === 1 ? STORED.get([...types][0]!) : undefined;
  const kept = matrices.every(
    ({ shape }) => backend.supportsUpload({ dtype: 'float32', shape }, { dtype, role: 'matrix' }).supported,
  );
  return kept ? dtype : undefined;
}

/** Loaded with what it needs only where it is asked for. */
async function resolveLocation(
  location: CheckpointLocation,
  { signal, onDownload }: LoadOptions,
): Promise<CheckpointLocation> {
  if (typeof location !== 'string' || !location.startsWith('hf:')) return location;
  const { hub } = await import('./hub/hub.ts');
  return hub(location, { signal, onProgress: onDownload });
}

/** A model with its tokenizer; made by `loadModel`. Calls may run side by side: each has a state of its own. */
export class LanguageModel {
  /** Where it came from, for messages. */
  readonly name: string;
  readonly model: Model;
  readonly config: ModelConfig;
  /** Undefined where the checkpoint has none: then prompts are ids. */
  readonly tokenizer: Tokenizer | undefined;
  readonly specialTokens: SpecialTokens;
  readonly generationConfig: unknown;
  /** Which model it is, on any backend and with any dtype of weights: 16 hex digits, see `fingerprinting`. */
  readonly fingerprint: string;
  readonly #reopen: Checkpoint['reopen'];

  /** @internal Use `loadModel`. */
  constructor(checkpoint: Checkpoint, model: Model, tokenizer: Tokenizer | undefined, fingerprint: string) {
    this.fingerprint = fingerprint;
    this.name = checkpoint.name;
    this.#reopen = checkpoint.reopen;
    this.model = model;
    this.config = model.config;
    this.tokenizer = tokenizer;
    this.specialTokens = checkpoint.specialTokens;
    this.generationConfig = checkpoint.generationConfig;
  }

  /**
   * Continues a prompt: one piece a token, then a closing piece with the reason. Everything made on the way is freed
   * where it ends, fails, or is left by `break`.
   * @throws MambaError `invalid-argument` (at once where options or an empty prompt are to blame), `unsupported` (text
   * without a tokenizer), `aborted` where the signal fires, `not-finite` where the model gives no numbers, and what the
   * backend throws.
   */
  generate(options: GenerateOptions): AsyncGenerator<GeneratedPiece, void, void> {
    checkOptions('generate', options, KEYS);
    const { prompt, batcher, ...others } = options;
    const { stops, tokens } = this.splitOptions(others);
    const ids = checkPrompt(this.promptIds(prompt), this.model);
    const maker = new PieceMaker({ tokenizer: this.tokenizer, stops, before: ids });
    if (batcher === undefined) return makePieces(generateTokens(this.model, ids, tokens), maker);
    checkBatcher(batcher, this.model);
    return makePieces(batcher.generateTokens(ids, tokens), maker);
  }

  /**
   * Several texts at once, with prompts of any lengths and options of their own; pieces come as they are made, and each
   * text ends for itself. A signal of any of them ends all.
   * @throws MambaError as `generate` does.
   */
  generateBatch(requests: readonly Omit<GenerateOptions, 'batcher'>[]): AsyncGenerator<BatchPiece, void, void> {
    if (!Array.isArray(requests) || requests.length === 0)
      throw invalid('generateBatch', String(requests), 'at least one request');
    const entries = requests.map((request: Omit<GenerateOptions, 'batcher'>, index) => {
      checkOptions('generate', request, KEYS);
      const { prompt, ...others } = request;
      const { stops, tokens } = this.splitOptions(others);
      const generation = resolveGeneration(this.model, tokens);
      checkBatchable(generation);
      const ids = checkPrompt(this.promptIds(prompt), this.model);
      const maker = new PieceMaker({ tokenizer: this.tokenizer, stops, before: ids });
      return { index, prompt: ids, generation, maker };
    });
    return this.#runBatch(entries);
  }

  /** Log-probabilities of a text or of ids; no special token is added. @throws MambaError as `generate` does. */
  async score(prompt: Prompt, options: LogProbOptions = {}): Promise<Score> {
    const ids = typeof prompt === 'string' ? this.encode(prompt) : Array.from(prompt);
    const values = new Float64Array(Math.max(ids.length - 1, 0));
    let done = 0;
    for await (const part of logProbs(this.model, [ids], options)) {
      values.set(part, done);
      done += part.length;
    }
    return { ids, logProbs: values };
  }

  /**
   * Embeddings: hidden states of chosen layers, of the last token, their mean, or all. @throws MambaError as `generate`
   * does.
   */
  async hiddenStates(prompt: Prompt, options: HiddenStateOptions = {}): Promise<HiddenStates> {
    return hiddenStates(this.model, typeof prompt === 'string' ? this.encode(prompt) : prompt, options);
  }

  /**
   * What the selection does with each token, for those who want to watch it. Reads about a third of the weights once
   * more, from where the model came from, and holds them until it is disposed.
   * @throws MambaError as `loadModel` does.
   */
  async openSelection({ signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<Selection> {
    const checkpoint = await this.#reopen({ signal });
    try {
      return await Selection.load(this.model, checkpoint);
    } finally {
      await checkpoint.close();
    }
  }

  /** A sequence that goes on: append, generate, mark, rewind, fork, save. */
  createSession(options: SessionOptions = {}): Session {
    return new Session(this, options);
  }

  /** @throws MambaError `foreign` where it is another model's, `invalid-file` where it is damaged. */
  loadSession(bytes: Uint8Array, options: SessionOptions = {}): Session {
    const place = loadPlace(this.model, this.fingerprint, bytes);
    try {
      return new Session(this, options, place);
    } catch (error) {
      place.state?.dispose();
      throw error;
    }
  }

  /**
   * The ids of a conversation, as the checkpoint's chat template writes it: a prompt for `generate`.
   * @throws MambaError `unsupported` where there is no template, and what `ChatTemplate.render` throws.
   */
  encodeChat(messages: readonly ChatMessage[], options: EncodeChatOptions = {}): number[] {
    return this.requireTokenizer().encodeChat(messages, options);
  }

  /**
   * Bits per byte and perplexity of a text or an open file (`openFile`), which may be of any length: memory stays
   * constant.
   */
  async perplexity(text: string | ByteSource, options: PerplexityOptions = {}): Promise<Perplexity> {
    return perplexity(this.model, this.requireTokenizer(), text, options);
  }

  /** The text's ids, without special tokens. */
  encode(text: string): number[] {
    return this.requireTokenizer().encode(text, { addSpecialTokens: false });
  }

  decode(ids: ArrayLike<number>): string {
    return this.requireTokenizer().decode(ids);
  }

  get disposed(): boolean {
    return this.model.disposed;
  }

  /** Frees the weights; the backend stays its owner's. */
  dispose(): void {
    this.model.dispose();
  }

  /** @internal A prompt's ids; an empty one's is the first token. */
  promptIds(prompt: Prompt): ArrayLike<number> {
    const ids = typeof prompt === 'string' ? this.requireTokenizer().encode(prompt) : prompt;
    if (ids?.length > 0) return ids;
    if (ids?.length !== 0) throw invalid('generate.prompt', String(prompt), 'text, or a list of ids');
    const first = this.specialTokens.bos ?? this.specialTokens.eos[0];
    if (first !== undefined) return [first];
    throw invalid('generate.prompt', 'an empty prompt', 'text or ids', 'This checkpoint names no token to begin with.');
  }

  /**
   * @internal What is for the tokens, and what is for the text. @throws MambaError `invalid-argument`, `unsupported`.
   */
  splitOptions(options: Omit<GenerateOptions, 'prompt' | 'batcher'>): {
    readonly stops: StopStrings;
    readonly tokens: GenerateTokensOptions;
  } {
    checkOptions('generate', options, KEYS);
    const { stop = [], stopIds = this.specialTokens.eos, draft, ...others } = options;
    const stops = typeof stop === 'string' ? [stop] : stop;
    if (!Array.isArray(stops)) throw invalid('generate.stop', String(stop), 'a string, or a list of them');
    const checked = new StopStrings(stops);
    if (stops.length > 0) this.requireTokenizer();
    const speculative = draft instanceof LanguageModel ? { model: draft } : draft;
    const guess = speculative && { ...speculative, model: speculative.model?.model };
    return { stops: checked, tokens: { ...others, stopIds, ...(guess && { draft: guess }) } };
  }

  async *#runBatch(entries: readonly Entry[]): AsyncGenerator<BatchPiece, void, void> {
    const batch = new Batch<Entry>(this.model);
    for await (const { entry, tokens, finishReason } of runBatch(batch, entries)) {
      const { index, maker } = entry;
      let stopped = false;
      for (const token of tokens) {
        const made = maker.push(token);
        stopped = made.stopped;
        yield { ...made.piece, index };
        if (stopped) break;
      }
      if (stopped) batch.leave([entry]);
      if (stopped || finishReason !== undefined)
        yield { ...maker.end(stopped ? 'stop' : finishReason!, stopped), index };
    }
  }

  /** @internal @throws MambaError `unsupported` */
  requireTokenizer(): Tokenizer {
    if (this.tokenizer !== undefined) return this.tokenizer;
    throw new MambaError('unsupported', `${this.name} has no tokenizer`, {
      origin: this.name,
      remedy: 'Give token ids instead of text, or put the tokenizer.json of the model beside it.',
    });
  }
}

const KEYS: readonly string[] = [...GENERATE_KEYS, 'stop', 'prompt', 'batcher'];

interface Entry {
  readonly index: number;
  readonly prompt: readonly number[];
  readonly generation: Generation;
  readonly maker: PieceMaker;
}
