import { type Prompt, promptIds, requireTokenizer } from '../generate/request.ts';
import type { LanguageModel } from '../language-model.ts';
import type { ChatMessage } from '../tokenizer/chat-template.ts';
import { TextLane } from './text-lane.ts';

/** As many characters, of one word at worst, take some 20 ms: they are encoded where they are. */
const QUICK = 1024;
/** Longer texts wait for each other alone. */
const LONG = 16_384;

export interface TextOptions {
  readonly splitSpecialTokens: boolean;
  readonly signal: AbortSignal;
}

/**
 * Makes ids of clients' texts, so that none of them holds up the others: what is long, or runs code of the checkpoint
 * (its chat template, patterns of its tokenizer), runs in workers that can be ended.
 */
export class Texts {
  readonly #lm: LanguageModel;
  readonly #short: TextLane;
  readonly #long: TextLane;

  constructor(lm: LanguageModel, maxWaiting: number) {
    this.#lm = lm;
    this.#short = new TextLane(lm, maxWaiting);
    this.#long = new TextLane(lm, maxWaiting);
  }

  /**
   * The ids of a prompt; an empty one's is the first token. @throws MambaError as `promptIds`, ApiError
   * 429.
   */
  async prompt(prompt: Prompt, { splitSpecialTokens, signal }: TextOptions): Promise<ArrayLike<number>> {
    if (typeof prompt !== 'string') return promptIds(this.#lm, prompt);
    const tokenizer = requireTokenizer(this.#lm);
    if (prompt.length > QUICK || tokenizer.runsPatterns)
      return promptIds(
        this.#lm,
        await this.#run({ kind: 'text', text: prompt, splitSpecialTokens }, prompt.length, signal),
      );
    return promptIds(this.#lm, splitSpecialTokens ? tokenizer.encode(prompt, { splitSpecialTokens }) : prompt);
  }

  /** The ids of a conversation. @throws MambaError as `LanguageModel.encodeChat`, ApiError 429. */
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

  #run(job: Parameters<TextLane['run']>[0], characters: number, signal: AbortSignal): Promise<readonly number[]> {
    return (characters > LONG ? this.#long : this.#short).run(job, characters, signal);
  }
}
