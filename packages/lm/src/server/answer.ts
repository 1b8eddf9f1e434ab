import { randomUUID } from 'node:crypto';
import type { FinishReason } from '../generate/generate.ts';
import type { GeneratedPiece } from '../generate/pieces.ts';
import type { LanguageModel } from '../language-model.ts';
import type { Plan } from './plan.ts';

/** Writes pieces as OpenAI's API gives them: whole, or as the chunks of a stream. One a request. */
export class Answer {
  readonly #lm: LanguageModel;
  readonly #plan: Plan;
  readonly #head: { readonly id: string; readonly created: number; readonly model: string };
  readonly #choices: Collected[];

  constructor(lm: LanguageModel, plan: Plan, model: string) {
    const prefix = plan.kind === 'chat' ? 'chatcmpl' : 'cmpl';
    this.#lm = lm;
    this.#plan = plan;
    this.#head = { id: `${prefix}-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model };
    this.#choices = plan.choices.map(() => ({ text: '', tokens: [], finishReason: undefined, count: 0 }));
  }

  /** The chunks that say who speaks, before any text. */
  opening(): readonly object[] {
    if (this.#plan.kind === 'completion') return [];
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
      logProb === undefined ? undefined : { id: id!, logProb, topLogProbs: topLogProbs ?? [], offset: before };
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
    const wanted = this.#plan.choices[0]!.logProbs === true;
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
    const { promptTokens: prompt } = this.#plan;
    return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
  }

  #logProbs(tokens: readonly CollectedToken[]): object {
    const word = (id: number): string => this.#lm.decode([id]);
    if (this.#plan.kind === 'completion')
      return {
        tokens: tokens.map(({ id }) => word(id)),
        token_logprobs: tokens.map(({ logProb }) => logProb),
        top_logprobs: tokens.map(({ topLogProbs: top }) =>
          Object.fromEntries(top.map(({ id, logProb }) => [word(id), logProb])),
        ),
        text_offset: tokens.map(({ offset }) => offset),
      };
    const entry = (id: number, logprob: number): object => ({ token: word(id), logprob, bytes: bytesOf(word(id)) });
    const content = tokens.map(({ id, logProb, topLogProbs: top }) => ({
      ...entry(id, logProb),
      top_logprobs: top.map((other) => entry(other.id, other.logProb)),
    }));
    return { content, refusal: null };
  }
}

interface CollectedToken {
  readonly id: number;
  readonly logProb: number;
  readonly topLogProbs: NonNullable<GeneratedPiece['topLogProbs']>;
  /** In the text, in UTF-16 units. */
  readonly offset: number;
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
