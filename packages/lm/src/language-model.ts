import type { ByteSource, Checkpoint, SpecialTokens } from '@mamba/checkpoint';
import type { Model, ModelConfig } from '@mamba/core';
import { Selection } from './blocks/mamba/selection.ts';
import type { GeneratedPiece } from './generate/pieces.ts';
import {
  type BatchPiece,
  type GenerateOptions,
  generateText,
  generateTexts,
  type Prompt,
  requireTokenizer,
} from './generate/request.ts';
import { type HiddenStateOptions, type HiddenStates, hiddenStates } from './score/hidden-states.ts';
import type { LogProbOptions } from './score/log-probs.ts';
import { type Perplexity, type PerplexityOptions, perplexity } from './score/perplexity.ts';
import { type Score, scoreIds } from './score/score.ts';
import { Session, type SessionOptions } from './session/session.ts';
import { loadSessionState } from './session/state.ts';
import type { ChatMessage } from './tokenizer/chat-template.ts';
import type { EncodeChatOptions, Tokenizer } from './tokenizer/tokenizer.ts';

/** A model with its tokenizer, made by `loadModel`. Calls may run side by side: each has its own state. */
export class LanguageModel {
  /** The location that it was loaded from, for messages. */
  readonly name: string;
  /** The model, for calls of its own. */
  readonly model: Model;
  readonly config: ModelConfig;
  /** Undefined if the checkpoint has none; prompts are then ids. */
  readonly tokenizer: Tokenizer | undefined;
  /** The ids of the tokens that begin and end texts, as the checkpoint gives them. */
  readonly specialTokens: SpecialTokens;
  /** The content of `generation_config.json`; undefined if the checkpoint has none. */
  readonly generationConfig: unknown;
  /**
   * Identifies the model on any backend and with any dtype of weights: 16 hex digits over the config and samples of
   * every parameter.
   */
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
   * Continues a prompt: one piece for each token, then a closing piece with the reason why it ended. All state is freed
   * when the generator ends, fails, or is left by `break`.
   * @throws MambaError `invalid-argument` (at once, for options or an empty prompt), `unsupported` (text without a
   * tokenizer), `aborted` when the signal fires, `not-finite` if the logits are not finite, and what the backend
   * throws.
   */
  generate(options: GenerateOptions): AsyncGenerator<GeneratedPiece, void, void> {
    return generateText(this, options);
  }

  /**
   * Generates several texts at once, with prompts of any lengths and options of their own. Pieces come as they are
   * made, and each text ends on its own. The signal of any request ends all of them.
   * @throws MambaError as `generate` does.
   */
  generateBatch(requests: readonly Omit<GenerateOptions, 'batcher'>[]): AsyncGenerator<BatchPiece, void, void> {
    return generateTexts(this, requests);
  }

  /** Log-probabilities of a text or of ids; no special token is added. @throws MambaError as `generate` does. */
  async score(prompt: Prompt, options: LogProbOptions = {}): Promise<Score> {
    return scoreIds(this.model, typeof prompt === 'string' ? this.encode(prompt) : Array.from(prompt), options);
  }

  /**
   * Embeddings: hidden states of chosen layers, for the last token, averaged over all tokens, or for every token.
   * @throws MambaError as `generate` does.
   */
  async hiddenStates(prompt: Prompt, options: HiddenStateOptions = {}): Promise<HiddenStates> {
    return hiddenStates(this.model, typeof prompt === 'string' ? this.encode(prompt) : prompt, options);
  }

  /**
   * Opens a view of the selection mechanism: delta for each token and layer. Reads about a third of the weights again
   * from the checkpoint, and holds them until it is disposed.
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

  /** Starts an empty session: a sequence that can be appended to, continued, marked, rewound, forked and saved. */
  createSession(options: SessionOptions = {}): Session {
    return new Session(this, options);
  }

  /**
   * Restores a session from the bytes of `session.save()`.
   * @throws MambaError `foreign` if it was saved with another model, `invalid-file` if it is damaged.
   */
  loadSession(bytes: Uint8Array, options: SessionOptions = {}): Session {
    const state = loadSessionState(this.model, this.fingerprint, bytes);
    try {
      return new Session(this, options, state);
    } catch (error) {
      state.state?.dispose();
      throw error;
    }
  }

  /**
   * The ids of a conversation as the checkpoint's chat template formats it: a prompt for `generate`.
   * @throws MambaError `unsupported` if there is no template, and what `ChatTemplate.render` throws.
   */
  encodeChat(messages: readonly ChatMessage[], options: EncodeChatOptions = {}): number[] {
    return requireTokenizer(this).encodeChat(messages, options);
  }

  /**
   * Bits per byte and perplexity of a text or an open file (`openFile`) of any length, in constant memory.
   * @throws MambaError `unsupported` without a tokenizer, `invalid-argument` for fewer than two tokens, `invalid-file`
   * for a file that is not UTF-8, `aborted`.
   */
  async perplexity(text: string | ByteSource, options: PerplexityOptions = {}): Promise<Perplexity> {
    return perplexity(this.model, requireTokenizer(this), text, options);
  }

  /** The ids of a text, without special tokens. @throws MambaError `unsupported` without a tokenizer. */
  encode(text: string): number[] {
    return requireTokenizer(this).encode(text, { addSpecialTokens: false });
  }

  /** The text of ids. @throws MambaError `unsupported` without a tokenizer. */
  decode(ids: ArrayLike<number>): string {
    return requireTokenizer(this).decode(ids);
  }

  /** Whether the model was disposed. */
  get disposed(): boolean {
    return this.model.disposed;
  }

  /** Frees the weights; the backend stays open. */
  dispose(): void {
    this.model.dispose();
  }
}
