import { type Prompt, promptIds, requireTokenizer } from '../generate/request.ts';
import type { LanguageModel } from '../language-model.ts';
import type { ChatMessage } from '../tokenizer/chat-template.ts';
import { EncoderWorker } from './encoder-worker.ts';

/** Shorter texts take at most about 20 ms, and are encoded on the main thread. */
const SHORT_CHARACTERS = 1024;
/** Longer texts have a worker of their own, so that shorter ones do not wait for them. */
const LONG_CHARACTERS = 16_384;

export interface TextOptions {
  readonly splitSpecialTokens: boolean;
  readonly signal: AbortSignal;
}

/**
 * Encodes texts of clients without blocking the server: long texts, chat templates and regular expressions of the
 * tokenizer run in workers that can be terminated.
 */
export class PromptEncoder {
  readonly #lm: LanguageModel;
  readonly #short: EncoderWorker;
  readonly #long: EncoderWorker;

  constructor(lm: LanguageModel, maxWaiting: number) {
    this.#lm = lm;
    this.#short = new EncoderWorker(lm, maxWaiting);
    this.#long = new EncoderWorker(lm, maxWaiting);
  }

  /**
   * The ids of a prompt; an empty prompt becomes the bos or eos token.
   * @throws MambaError as `promptIds`, and ApiError 429.
   */
  async prompt(prompt: Prompt, { splitSpecialTokens, signal }: TextOptions): Promise<ArrayLike<number>> {
    if (typeof prompt !== 'string') return promptIds(this.#lm, prompt);
    return promptIds(this.#lm, await this.#text(prompt, { splitSpecialTokens, signal }, true));
  }

  /** The ids of what follows other text: none for an empty text. @throws as `prompt` does. */
  async continuation(text: Prompt, options: TextOptions): Promise<ArrayLike<number>> {
    return typeof text === 'string' ? this.#text(text, options, false) : text;
  }

  /** The ids of a conversation. @throws MambaError as `LanguageModel.encodeChat`, and ApiError 429. */
  async chat(
    messages: readonly ChatMessage[],
    { splitSpecialTokens, signal }: TextOptions,
  ): Promise<readonly number[]> {
    const characters = messages.reduce((sum, { content }) => sum + content.length, 0);
    return this.#run({ kind: 'chat', messages, splitSpecialTokens }, characters, signal);
  }

  async dispose(): Promise<void> {
    await Promise.all([this.#short.dispose(), this.#long.dispose()]);
  }

  async #text(
    text: string,
    { splitSpecialTokens, signal }: TextOptions,
    addSpecialTokens: boolean,
  ): Promise<readonly number[]> {
    const tokenizer = requireTokenizer(this.#lm);
    if (text.length > SHORT_CHARACTERS || tokenizer.runsPatterns)
      return this.#run({ kind: 'text', text, splitSpecialTokens, addSpecialTokens }, text.length, signal);
    return tokenizer.encode(text, { splitSpecialTokens, addSpecialTokens });
  }

  #run(job: Parameters<EncoderWorker['run']>[0], characters: number, signal: AbortSignal): Promise<readonly number[]> {
    return (characters > LONG_CHARACTERS ? this.#long : this.#short).run(job, characters, signal);
  }
}
