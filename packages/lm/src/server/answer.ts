import { randomUUID } from 'node:crypto';
import type { GeneratedToken } from '../generate/decoder/sequence.ts';
import type { FinishReason } from '../generate/generate.ts';
import type { GeneratedPiece } from '../generate/pieces.ts';
import { requireTokenizer } from '../generate/request.ts';
import type { LanguageModel } from '../language-model.ts';
import type { Plan } from './plan.ts';
import type { EncodedPrompt } from './prompts.ts';
import { Words } from './words.ts';

/** Writes pieces as OpenAI's API gives them: whole, or as the chunks of a stream. One a request. */
export class Answer {
  readonly #words: Words;
  readonly #plan: Plan;
  readonly #head: { readonly id: string; readonly created: number; readonly model: string };
  readonly #choices: Collected[];

  /** @param told Of each prompt, where it is echoed with log-probabilities: of every token but the first. */
  constructor(lm: LanguageModel, plan: Plan, model: string, told: readonly (readonly GeneratedToken[])[] = []) {
    const prefix = plan.kind === 'chat' ? 'chatcmpl' : 'cmpl';
    this.#words = new Words(requireTokenizer(lm));
    this.#plan = plan;
    this.#head = { id: `${prefix}-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model };
    const echoes = plan.echo ? plan.prompts.map((prompt, index) => echo(lm, prompt, told[index])) : [];
    this.#choices = plan.choices.map(({ prompt, options }) => {
      const { text, tokens } = echoes[prompt] ?? { text: '', tokens: [] };
      // Where nothing is generated no piece will say that it has ended.
      return { text, tokens: [...tokens], count: 0, finishReason: options === undefined ? 'length' : undefined };
    });
  }

  /** The chunks before any generated text: who speaks, or the prompt. */
  opening(): readonly object[] {
    if (this.#plan.kind === 'completion') {
      if (!this.#plan.echo) return [];
      return this.#choices.map(({ text, tokens, finishReason }, index) => {
        const logprobs = tokens.length > 0 ? this.#logProbs(tokens) : null;
        return this.#chunk({ index, text, logprobs, finish_reason: finishReason ?? null });
      });
    }
    const delta = { role: 'assistant', content: '' };
    return this.#choices.map((_, index) => this.#chunk({ index, delta, logprobs: null, finish_reason: null }));
  }

  /** Takes a piece in; the chunk that tells of it, where there is something to tell. */
  push(index: number, { id, text, logProb, topLogProbs, finishReason }: GeneratedPiece): object | undefined {
    const choice = this.#choices[index]!;
    const before = choice.text.length;
    choice.text += text;
    choice.finishReason = finishReason;
    if (id !== undefined) choice.count++;
    const token =
      logProb === undefined
        ? undefined
        : { id: id!, logProb, topLogProbs: topLogProbs ?? [], offset: before, begun: true };
    if (token !== undefined && !this.#plan.stream) choice.tokens.push(token);
    if (text === '' && token === undefined && finishReason === undefined) return undefined;
    const logprobs = token === undefined ? null : this.#logProbs([token]);
    const rest = { logprobs, finish_reason: finishReason ?? null };
    if (this.#plan.kind === 'completion') return this.#chunk({ index, text, ...rest });
    return this.#chunk({ index, delta: text === '' ? {} : { content: text }, ...rest });
  }

  /** The last chunk, where the request asks for it. */
  closing(): readonly object[] {
    return this.#plan.includeUsage ? [{ ...this.#chunk(), usage: this.#usage() }] : [];
  }

  whole(): object {
    const wanted = this.#plan.logProbs !== undefined;
    const choices = this.#choices.map(({ text, tokens, finishReason }, index) => {
      const rest = { logprobs: wanted ? this.#logProbs(tokens) : null, finish_reason: finishReason! };
      if (this.#plan.kind === 'completion') return { index, text, ...rest };
      return { index, message: { role: 'assistant', content: text, refusal: null }, ...rest };
    });
    const object = this.#plan.kind === 'chat' ? 'chat.completion' : 'text_completion';
    return { ...this.#head, object, choices, usage: this.#usage() };
  }

  #chunk(...choices: readonly object[]): object {
    const object = this.#plan.kind === 'chat' ? 'chat.completion.chunk' : 'text_completion';
    return { ...this.#head, object, choices };
  }

  #usage(): object {
    const completion = this.#choices.reduce((sum, { count }) => sum + count, 0);
    const prompt = this.#plan.prompts.reduce((sum, { ids }) => sum + ids.length, 0);
    return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
  }

  #logProbs(tokens: readonly CollectedToken[]): object {
    if (this.#plan.kind === 'completion')
      return {
        tokens: tokens.map(({ id, begun }) => this.#words.of(id, begun)),
        token_logprobs: tokens.map(({ logProb }) => logProb),
        top_logprobs: tokens.map(({ topLogProbs: top, begun }) => top && this.#byWord(top, begun)),
        text_offset: tokens.map(({ offset }) => offset),
      };
    const entry = (id: number, logprob: number | null, begun: boolean): object => {
      const token = this.#words.of(id, begun);
      return { token, logprob, bytes: bytesOf(token) };
    };
    const content = tokens.map(({ id, logProb, topLogProbs: top, begun }) => ({
      ...entry(id, logProb, begun),
      top_logprobs: (top ?? []).map((other) => entry(other.id, other.logProb, begun)),
    }));
    return { content, refusal: null };
  }

  /** Of several that read alike (parts of characters) the likeliest, which comes first. */
  #byWord(top: NonNullable<CollectedToken['topLogProbs']>, begun: boolean): Readonly<Record<string, number>> {
    const words: Record<string, number> = Object.create(null) as Record<string, number>;
    for (const { id, logProb } of top) words[this.#words.of(id, begun)] ??= logProb;
    return words;
  }
}

/** A prompt as the beginning of an answer. */
function echo(
  lm: LanguageModel,
  { ids, text }: EncodedPrompt,
  told: readonly GeneratedToken[] | undefined,
): Pick<Collected, 'text' | 'tokens'> {
  const written = text ?? lm.decode(ids);
  if (told === undefined) return { text: written, tokens: [] };
  const tokenizer = requireTokenizer(lm);
  const skipSpecialTokens = text !== undefined;
  const decoder = tokenizer.streamDecoder({ skipSpecialTokens });
  let offset = 0;
  let begun = false;
  const tokens = ids.map((id, index): CollectedToken => {
    const { logProb = null, topLogProbs } = told[index - 1] ?? {};
    const token = { id, logProb, topLogProbs: index === 0 ? null : (topLogProbs ?? []), offset, begun };
    offset += decoder.push(id).length;
    begun ||= !(skipSpecialTokens && tokenizer.specialTokens.has(id));
    return token;
  });
  return { text: written, tokens };
}

interface CollectedToken {
  readonly id: number;
  /** Null for the first of a prompt, which nothing comes before. */
  readonly logProb: number | null;
  readonly topLogProbs: NonNullable<GeneratedPiece['topLogProbs']> | null;
  /** In the text, in UTF-16 units. */
  readonly offset: number;
  /** Others go before it. */
  readonly begun: boolean;
}

interface Collected {
  text: string;
  readonly tokens: CollectedToken[];
  finishReason: FinishReason | undefined;
  count: number;
}

/** Null where the token is a part of a character, whose bytes its text does not show. */
function bytesOf(word: string): readonly number[] | null {
  return word.includes('\ufffd') ? null : [...new TextEncoder().encode(word)];
}
