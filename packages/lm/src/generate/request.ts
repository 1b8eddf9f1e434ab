import type { SpecialTokens } from '@mamba/checkpoint';
import { invalid, MambaError, type Model } from '@mamba/core';
import { checkOptions } from '@mamba/core/toolkit';
import type { LanguageModel } from '../language-model.ts';
import { StopStrings } from '../tokenizer/stop-strings.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { type Batcher, checkBatcher } from './batcher.ts';
import { checkPrompt, generateTokens } from './generate.ts';
import {
  GENERATE_KEYS,
  type GenerateTokensOptions,
  type Generation,
  resolveGeneration,
  type SpeculativeOptions,
} from './options.ts';
import { type GeneratedPiece, makePieces, PieceMaker } from './pieces.ts';
import { checkBatchable, runRequests, Scheduler } from './scheduler.ts';

/** Text, or token ids. A checkpoint without a tokenizer takes ids only. */
export type Prompt = string | ArrayLike<number>;

/** What to write, where to stop, and how tokens are chosen. */
export interface GenerateOptions extends Omit<GenerateTokensOptions, 'draft'> {
  /** An empty prompt is replaced by the checkpoint's bos token, or by its first eos token if it has no bos. */
  readonly prompt: Prompt;
  /** Default: the checkpoint's eos tokens. */
  readonly stopIds?: readonly number[] | undefined;
  /** Generation ends where one of these strings appears in the text; the string is not given, nor any part of it. */
  readonly stop?: string | readonly string[] | undefined;
  /** A smaller model of the same vocabulary that guesses tokens for this one to verify. */
  readonly draft?: LanguageModel | (Omit<SpeculativeOptions, 'model'> & { readonly model: LanguageModel }) | undefined;
  /** Runs this generation in one batch with all others that were given the same batcher. */
  readonly batcher?: Batcher | undefined;
}

/** A piece of one of several texts. */
export interface BatchPiece extends GeneratedPiece {
  /** Index of the request that the piece belongs to. */
  readonly index: number;
}

/** The parts of a `LanguageModel` that a request for text needs. */
export interface TextModel {
  readonly name: string;
  readonly model: Model;
  readonly tokenizer: Tokenizer | undefined;
  readonly specialTokens: SpecialTokens;
}

/** `LanguageModel.generate`. */
export function generateText(lm: TextModel, options: GenerateOptions): AsyncGenerator<GeneratedPiece, void, void> {
  checkOptions('generate', options, KEYS);
  const { prompt, batcher, ...others } = options;
  const { stops, tokens } = splitOptions(lm, others);
  const ids = checkPrompt(promptIds(lm, prompt), lm.model);
  const maker = new PieceMaker({ tokenizer: lm.tokenizer, stops, before: ids });
  if (batcher === undefined) return makePieces(generateTokens(lm.model, ids, tokens), maker);
  checkBatcher(batcher, lm.model);
  return makePieces(batcher.generateTokens(ids, tokens), maker);
}

/** `LanguageModel.generateBatch`. */
export function generateTexts(
  lm: TextModel,
  requests: readonly Omit<GenerateOptions, 'batcher'>[],
): AsyncGenerator<BatchPiece, void, void> {
  if (!Array.isArray(requests) || requests.length === 0)
    throw invalid('generateBatch', String(requests), 'at least one request');
  const resolved = requests.map((request: Omit<GenerateOptions, 'batcher'>, index) => {
    checkOptions('generate', request, KEYS);
    const { prompt, ...others } = request;
    const { stops, tokens } = splitOptions(lm, others);
    const generation = resolveGeneration(lm.model, tokens);
    checkBatchable(generation);
    const ids = checkPrompt(promptIds(lm, prompt), lm.model);
    const maker = new PieceMaker({ tokenizer: lm.tokenizer, stops, before: ids });
    return { index, prompt: ids, generation, maker };
  });
  return runTextRequests(lm.model, resolved);
}

async function* runTextRequests(
  model: Model,
  requests: readonly TextRequest[],
): AsyncGenerator<BatchPiece, void, void> {
  const scheduler = new Scheduler<TextRequest>(model);
  for await (const { request, tokens, finishReason } of runRequests(scheduler, requests)) {
    const { index, maker } = request;
    let stopped = false;
    for (const token of tokens) {
      const made = maker.push(token);
      stopped = made.stopped;
      yield { ...made.piece, index };
      if (stopped) break;
    }
    if (stopped) scheduler.remove([request]);
    if (stopped || finishReason !== undefined) yield { ...maker.end(stopped ? 'stop' : finishReason!, stopped), index };
  }
}

/**
 * The ids of a prompt; an empty prompt becomes the bos token, or the first eos token.
 * @throws MambaError `invalid-argument` for what is no prompt, and for an empty one if there is neither token;
 * `unsupported` for text without a tokenizer.
 */
export function promptIds(
  lm: Pick<TextModel, 'name' | 'tokenizer' | 'specialTokens'>,
  prompt: Prompt,
): ArrayLike<number> {
  const ids = typeof prompt === 'string' ? requireTokenizer(lm).encode(prompt) : prompt;
  if (ids?.length > 0) return ids;
  if (ids?.length !== 0) throw invalid('generate.prompt', String(prompt), 'text, or a list of ids');
  const first = lm.specialTokens.bos ?? lm.specialTokens.eos[0];
  if (first !== undefined) return [first];
  throw invalid('generate.prompt', 'an empty prompt', 'text or ids', 'This checkpoint names no token to begin with.');
}

/**
 * Splits the options of a text request into stop strings and options of `generateTokens`.
 * @throws MambaError `invalid-argument`; `unsupported` for stop strings without a tokenizer.
 */
export function splitOptions(
  lm: Pick<TextModel, 'name' | 'tokenizer' | 'specialTokens'>,
  options: Omit<GenerateOptions, 'prompt' | 'batcher'>,
): { readonly stops: StopStrings; readonly tokens: GenerateTokensOptions } {
  checkOptions('generate', options, KEYS);
  const { stop = [], stopIds = lm.specialTokens.eos, draft, ...others } = options;
  const stops = typeof stop === 'string' ? [stop] : stop;
  if (!Array.isArray(stops)) throw invalid('generate.stop', String(stop), 'a string, or a list of them');
  const checked = new StopStrings(stops);
  if (stops.length > 0) requireTokenizer(lm);
  const speculative = draft && isLanguageModel(draft) ? { model: draft } : draft;
  const guess = speculative && { ...speculative, model: speculative.model?.model };
  return { stops: checked, tokens: { ...others, stopIds, ...(guess && { draft: guess }) } };
}

/** Looks at the methods rather than the class, which imports this file; `{ model, tokens }` has none. */
function isLanguageModel(draft: NonNullable<GenerateOptions['draft']>): draft is LanguageModel {
  return typeof (draft as Partial<LanguageModel>).generate === 'function';
}

/** @throws MambaError `unsupported` if the model has no tokenizer. */
export function requireTokenizer({ name, tokenizer }: Pick<TextModel, 'name' | 'tokenizer'>): Tokenizer {
  if (tokenizer !== undefined) return tokenizer;
  throw new MambaError('unsupported', `${name} has no tokenizer`, {
    origin: name,
    remedy: 'Give token ids instead of text, or put the tokenizer.json of the model beside it.',
  });
}

const KEYS: readonly string[] = [...GENERATE_KEYS, 'stop', 'prompt', 'batcher'];

interface TextRequest {
  readonly index: number;
  readonly prompt: readonly number[];
  readonly generation: Generation;
  readonly maker: PieceMaker;
}
