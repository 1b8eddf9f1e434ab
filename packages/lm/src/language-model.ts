import {
  type ByteSource,
  type Checkpoint,
  type CheckpointLocation,
  openCheckpoint,
  type SpecialTokens,
  type UrlOptions,
} from '@mamba/checkpoint';
import {
  type Backend,
  type CreateModelOptions,
  createModel,
  MambaError,
  type Model,
  type ModelConfig,
} from '@mamba/core';
import { invalid } from '@mamba/core/driver';
import { type FinishReason, type GenerateIdsOptions, generateIds } from './generate/generate.ts';
import { type LogProbOptions, logProbs } from './score/log-probs.ts';
import { type Perplexity, type PerplexityOptions, perplexity } from './score/perplexity.ts';
import { openTokenizer, type Tokenizer } from './tokenizer/tokenizer.ts';

/** Text, or token ids where a checkpoint has no tokenizer. */
export type Prompt = string | ArrayLike<number>;

export interface LoadOptions extends Pick<CreateModelOptions, 'weights' | 'onProgress' | 'signal'> {
  /** Sent with every request to an http(s) location. */
  readonly headers?: UrlOptions['headers'];
}

export interface GenerateOptions extends GenerateIdsOptions {
  /** An empty one begins with the checkpoint's bos or eos token. */
  readonly prompt: Prompt;
  /** Default: the checkpoint's eos tokens. */
  readonly stopIds?: readonly number[] | undefined;
}

/** A piece of generated text. The pieces' texts joined are the text of all ids. */
export interface GeneratedPiece {
  /** Undefined in the closing piece. */
  readonly id: number | undefined;
  /** Whole characters; empty while a character is incomplete, or where there is no tokenizer. */
  readonly text: string;
  /** Set in the closing piece alone. */
  readonly finishReason: FinishReason | undefined;
}

export interface Score {
  readonly ids: readonly number[];
  /** In nats: of every id but the first, given those before it. */
  readonly logProbs: Float64Array;
}

/**
 * Loads a checkpoint onto a backend, tensor by tensor. `location` is a folder (Node), an http(s) address, a list of File, or a store.
 * @throws MambaError `invalid-file`, `unsupported`, `unavailable`, `out-of-memory`, `aborted`; nothing is left open or uploaded then.
 */
export async function loadModel(
  backend: Backend,
  location: CheckpointLocation,
  options: LoadOptions = {},
): Promise<LanguageModel> {
  const { headers, signal, ...others } = options;
  const checkpoint = await openCheckpoint(location, { headers, signal });
  try {
    const tokenizer = await openTokenizer(checkpoint.store);
    const model = await createModel(backend, checkpoint.config, checkpoint.source, { ...others, signal });
    return new LanguageModel(checkpoint, model, tokenizer);
  } finally {
    await checkpoint.close();
  }
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

  /** @internal Use `loadModel`. */
  constructor(checkpoint: Checkpoint, model: Model, tokenizer: Tokenizer | undefined) {
    this.name = checkpoint.name;
    this.model = model;
    this.config = model.config;
    this.tokenizer = tokenizer;
    this.specialTokens = checkpoint.specialTokens;
    this.generationConfig = checkpoint.generationConfig;
  }

  /**
   * Continues a prompt: one piece a token, then a closing piece with the reason. Everything made on the way is freed where it ends,
   * fails, or is left by `break`.
   * @throws MambaError `invalid-argument` (at once where options or an empty prompt are to blame), `unsupported` (text without a
   * tokenizer), `aborted` where the signal fires, and what the backend throws.
   */
  generate(options: GenerateOptions): AsyncGenerator<GeneratedPiece, void, void> {
    const { prompt, stopIds = this.specialTokens.eos, ...others } = options;
    const ids = this.#promptIds(prompt);
    return this.#stream(generateIds(this.model, ids, { ...others, stopIds }));
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

  /** Bits per byte and perplexity of a text or an open file (`openFile`), which may be of any length: memory stays constant. */
  async perplexity(text: string | ByteSource, options: PerplexityOptions = {}): Promise<Perplexity> {
    return perplexity(this.model, this.#requireTokenizer(), text, options);
  }

  /** The text's ids, without special tokens. */
  encode(text: string): number[] {
    return this.#requireTokenizer().encode(text, { addSpecialTokens: false });
  }

  decode(ids: ArrayLike<number>): string {
    return this.#requireTokenizer().decode(ids);
  }

  get disposed(): boolean {
    return this.model.disposed;
  }

  /** Frees the weights; the backend stays its owner's. */
  dispose(): void {
    this.model.dispose();
  }

  #promptIds(prompt: Prompt): ArrayLike<number> {
    const ids = typeof prompt === 'string' ? this.#requireTokenizer().encode(prompt) : prompt;
    if (ids?.length > 0) return ids;
    const first = this.specialTokens.bos ?? this.specialTokens.eos[0];
    if (ids?.length === 0 && first !== undefined) return [first];
    throw invalid(
      'generate.prompt',
      ids?.length === 0 ? 'an empty prompt' : String(ids),
      'text or ids',
      'This checkpoint names no token to begin with.',
    );
  }

  async *#stream(ids: AsyncGenerator<number, FinishReason, void>): AsyncGenerator<GeneratedPiece, void, void> {
    const decoder = this.tokenizer?.streamDecoder({ skipSpecialTokens: true });
    try {
      for (;;) {
        const { done, value } = await ids.next();
        if (done) {
          yield { id: undefined, text: decoder?.end() ?? '', finishReason: value };
          return;
        }
        yield { id: value, text: decoder?.push(value) ?? '', finishReason: undefined };
      }
    } finally {
      // On `break` the inner generator has to hear of it, to free its state.
      await ids.return('stop');
    }
  }

  #requireTokenizer(): Tokenizer {
    if (this.tokenizer !== undefined) return this.tokenizer;
    throw new MambaError('unsupported', `${this.name} has no tokenizer.json`, {
      origin: this.name,
      remedy: 'Give token ids instead of text, or put the tokenizer.json of the model beside it.',
    });
  }
}
