import { randomUUID } from 'node:crypto';
import type { GeneratedToken } from '../generate/decoder/sequence.ts';
import type { FinishReason } from '../generate/generate.ts';
import type { GeneratedPiece } from '../generate/pieces.ts';
import { requireTokenizer } from '../generate/request.ts';
import type { LanguageModel } from '../language-model.ts';
import type { Plan } from './plan.ts';
import type { EncodedPrompt } from './prompts.ts';
import { TokenTexts } from './token-texts.ts';

/** Formats the pieces of one request as OpenAI's API does: as one answer, or as the chunks of a stream. */
export class Answer {
  readonly #texts: TokenTexts;
  readonly #plan: Plan;
  readonly #head: { readonly id: string; readonly created: number; readonly model: string };
  readonly #choices: ChoiceText[];

  /** @param scores If prompts are echoed with log-probabilities: for each prompt, every token but the first. */
  constructor(lm: LanguageModel, plan: Plan, model: string, scores: readonly (readonly GeneratedToken[])[] = []) {
    const prefix = plan.kind === 'chat' ? 'chatcmpl' : 'cmpl';
    this.#texts = new TokenTexts(requireTokenizer(lm));
    this.#plan = plan;
    this.#head = { id: `${prefix}-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model };
    const echoes = plan.echo ? plan.prompts.map((prompt, index) => echo(lm, prompt, scores[index])) : [];
    this.#choices = plan.choices.map(({ prompt, options }) => {
      const { text, tokens } = echoes[prompt] ?? { text: '', tokens: [] };
      // A choice that generates nothing gets no closing piece.
      return { text, tokens: [...tokens], count: 0, finishReason: options === undefined ? 'length' : undefined };
    });
  }

  /** Number of tokens of the prompts and of what was pushed. */
  get tokens(): number {
    return this.#counts().total_tokens;
  }

  /** The chunks before any generated text: the role in a chat, the echoed prompt in a completion. */
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

  /** Adds a piece of a choice. @returns its chunk, or undefined if there is nothing to send. */
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

  /** The chunk with the usage, if the request includes it. */
  closing(): readonly object[] {
    return this.#plan.includeUsage ? [{ ...this.#chunk(), usage: this.#counts() }] : [];
  }

  /** The answer for a request that is not streamed. */
  whole(): object {
    const wanted = this.#plan.logProbs !== undefined;
    const choices = this.#choices.map(({ text, tokens, finishReason }, index) => {
      const rest = { logprobs: wanted ? this.#logProbs(tokens) : null, finish_reason: finishReason! };
      if (this.#plan.kind === 'completion') return { index, text, ...rest };
      return { index, message: { role: 'assistant', content: text, refusal: null }, ...rest };
    });
    const object = this.#plan.kind === 'chat' ? 'chat.completion' : 'text_completion';
    return { ...this.#head, object, choices, usage: this.#counts() };
  }

  #chunk(...choices: readonly object[]): object {
    const object = this.#plan.kind === 'chat' ? 'chat.completion.chunk' : 'text_completion';
    return { ...this.#head, object, choices };
  }

  #counts() {
    const completion = this.#choices.reduce((sum, { count }) => sum + count, 0);
    const prompt = this.#plan.prompts.reduce((sum, { ids }) => sum + ids.length, 0);
    return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
  }

  #logProbs(tokens: readonly ScoredToken[]): object {
    if (this.#plan.kind === 'completion')
      return {
        tokens: tokens.map(({ id, begun }) => this.#texts.of(id, begun)),
        token_logprobs: tokens.map(({ logProb }) => logProb),
        top_logprobs: tokens.map(({ topLogProbs: top, begun }) => top && this.#byText(top, begun)),
        text_offset: tokens.map(({ offset }) => offset),
      };
    const entry = (id: number, logprob: number | null, begun: boolean): object => {
      const token = this.#texts.of(id, begun);
      return { token, logprob, bytes: bytesOf(token) };
    };
    const content = tokens.map(({ id, logProb, topLogProbs: top, begun }) => ({
      ...entry(id, logProb, begun),
      top_logprobs: (top ?? []).map((other) => entry(other.id, other.logProb, begun)),
    }));
    return { content, refusal: null };
  }

  /** Tokens may have the same text, as parts of characters do: the likeliest, which comes first, is kept. */
  #byText(top: NonNullable<ScoredToken['topLogProbs']>, begun: boolean): Readonly<Record<string, number>> {
    const byText: Record<string, number> = Object.create(null) as Record<string, number>;
    for (const { id, logProb } of top) byText[this.#texts.of(id, begun)] ??= logProb;
    return byText;
  }
}

/** The text and tokens of an echoed prompt. */
function echo(
  lm: LanguageModel,
  { ids, text }: EncodedPrompt,
  scores: readonly GeneratedToken[] | undefined,
): Pick<ChoiceText, 'text' | 'tokens'> {
  const written = text ?? lm.decode(ids);
  if (scores === undefined) return { text: written, tokens: [] };
  const tokenizer = requireTokenizer(lm);
  const skipSpecialTokens = text !== undefined;
  const decoder = tokenizer.streamDecoder({ skipSpecialTokens });
  let offset = 0;
  let begun = false;
  const tokens = ids.map((id, index): ScoredToken => {
    const { logProb = null, topLogProbs } = scores[index - 1] ?? {};
    const token = { id, logProb, topLogProbs: index === 0 ? null : (topLogProbs ?? []), offset, begun };
    offset += decoder.push(id).length;
    begun ||= !(skipSpecialTokens && tokenizer.specialTokens.has(id));
    return token;
  });
  return { text: written, tokens };
}

interface ScoredToken {
  readonly id: number;
  /** Null for the first token of a prompt. */
  readonly logProb: number | null;
  readonly topLogProbs: NonNullable<GeneratedPiece['topLogProbs']> | null;
  /** Its position in the text, in UTF-16 code units. */
  readonly offset: number;
  /** Whether other tokens come before it. */
  readonly begun: boolean;
}

interface ChoiceText {
  text: string;
  readonly tokens: ScoredToken[];
  finishReason: FinishReason | undefined;
  count: number;
}

/** Null if the token is a part of a character: its text does not show its bytes. */
function bytesOf(text: string): readonly number[] | null {
  return text.includes('\ufffd') ? null : [...new TextEncoder().encode(text)];
}
