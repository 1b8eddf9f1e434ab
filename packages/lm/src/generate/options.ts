import { invalid, type Model, type ModelConfig, type ModelState } from '@mamba/core';
import { checkBoolean, checkInteger, checkOptions } from '@mamba/core/toolkit';
import { checkAbortSignal, checkIds } from '../check.ts';
import { resolveSampling, SAMPLING_KEYS, type Sampling, type SamplingOptions } from '../sampling/options.ts';
import { randomSeed, uniformNumbers } from '../sampling/random.ts';
import { PrefixCache } from './prefix-cache.ts';

/** How tokens are generated from ids, without a tokenizer. */
export interface GenerateTokensOptions extends SamplingOptions {
  /** An integer; the same seed gives the same tokens on the same backend. Default: random. */
  readonly seed?: number | undefined;
  /** Most tokens to generate. Default 256. */
  readonly maxTokens?: number | undefined;
  /** Generation ends when one of these is drawn; it is not given. Default: none. */
  readonly stopIds?: readonly number[] | undefined;
  /** Gives each token's log-probability, in nats. Default false. */
  readonly logProbs?: boolean | undefined;
  /**
   * Number of likeliest tokens to give at each position, with their log-probabilities; implies `logProbs`. Default 0.
   */
  readonly topLogProbs?: number | undefined;
  /** The state before the prompt; zero if absent. It is not changed. */
  readonly state?: ModelState | undefined;
  /** Caches the states of prompts. It belongs to one model, and cannot be combined with `state`. */
  readonly prefixCache?: PrefixCache | undefined;
  /** A smaller model of the same vocabulary that guesses tokens; see `SpeculativeOptions`. */
  readonly draft?: SpeculativeOptions | undefined;
  /**
   * Tokens of the prompt that are fed at once; bounds the memory that a long prompt takes. Default: what the backend
   * prefers; 256 with a prefix cache, which keeps a state for each, and beside other requests.
   */
  readonly chunk?: number | undefined;
  /**
   * Tokens generated before the first of them is given, if sampling is on the device. More tokens mean fewer waits for
   * the device, and text that comes later. Default 4.
   */
  readonly block?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Speculative decoding (arXiv 2211.17192): a draft model guesses `tokens` ahead, and the target model verifies them in
 * one forward pass. The distribution is the target model's own; at temperature 0 so is the text, up to rounding.
 */
export interface SpeculativeOptions {
  readonly model: Model;
  /** Guesses for each forward pass of the target model, from 1 to 64. Default 4. */
  readonly tokens?: number | undefined;
}

/** Checked options with their defaults. */
export interface Generation {
  readonly sampling: Sampling;
  /** The next random number in [0, 1); undefined at temperature 0. */
  readonly uniform: (() => number) | undefined;
  readonly maxTokens: number;
  readonly stopIds: ReadonlySet<number>;
  readonly logProbs: boolean;
  readonly topLogProbs: number;
  readonly state: ModelState | undefined;
  readonly prefixCache: PrefixCache | undefined;
  readonly draft: { readonly model: Model; readonly tokens: number } | undefined;
  readonly chunk: number | undefined;
  readonly block: number;
  readonly signal: AbortSignal | undefined;
}

export const GENERATE_KEYS: readonly (keyof GenerateTokensOptions)[] = [
  ...SAMPLING_KEYS,
  'seed',
  'maxTokens',
  'stopIds',
  'logProbs',
  'topLogProbs',
  'state',
  'prefixCache',
  'draft',
  'chunk',
  'block',
  'signal',
];

/** The part of a model that options are checked against. The command line checks them before it has a model. */
export interface Vocabulary {
  readonly config: Pick<ModelConfig, 'vocabSize'>;
}

/**
 * @throws MambaError `invalid-argument` for unknown options, values out of range, and options that contradict each
 * other.
 */
export function resolveGeneration(model: Vocabulary, options: GenerateTokensOptions): Generation {
  checkOptions('generate', options, GENERATE_KEYS);
  const {
    seed,
    maxTokens = 256,
    stopIds = [],
    logProbs,
    topLogProbs = 0,
    state,
    prefixCache,
    draft,
    ...others
  } = options;
  const { chunk, block = 4, signal, ...samplingOptions } = others;
  const { vocabSize } = model.config;
  const sampling = resolveSampling('generate', samplingOptions, vocabSize);
  for (const [name, value] of Object.entries({ maxTokens, block })) checkInteger(`generate.${name}`, value, 1);
  if (chunk !== undefined) checkInteger('generate.chunk', chunk, 1);
  if (seed !== undefined) checkInteger('generate.seed', seed, Number.MIN_SAFE_INTEGER);
  if (seed !== undefined && sampling.temperature === 0)
    throw invalid(
      'generate.seed',
      'a seed at temperature 0',
      'a temperature above 0 with it: nothing is drawn without',
    );
  if (signal !== undefined) checkAbortSignal('generate.signal', signal);
  if (logProbs !== undefined) checkBoolean('generate.logProbs', logProbs);
  checkInteger('generate.topLogProbs', topLogProbs, 0, vocabSize);
  if (logProbs === false && topLogProbs > 0)
    throw invalid('generate.topLogProbs', `${topLogProbs} with logProbs: false`, 'logProbs: true, or none of the two');
  if (prefixCache !== undefined) checkCache(prefixCache, model, state);
  return {
    ...{ sampling, maxTokens, topLogProbs, state, prefixCache, chunk, block, signal },
    uniform: sampling.temperature === 0 ? undefined : uniformNumbers(seed ?? randomSeed()),
    stopIds: new Set(checkIds('generate.stopIds', stopIds, vocabSize)),
    logProbs: logProbs ?? topLogProbs > 0,
    draft: draft && resolveDraft(draft, vocabSize, state),
  };
}

function checkCache(cache: PrefixCache, model: Vocabulary, state: ModelState | undefined): void {
  if (!(cache instanceof PrefixCache)) throw invalid('generate.prefixCache', String(cache), 'a PrefixCache');
  if (cache.model !== model)
    throw invalid('generate.prefixCache', "another model's cache", "this model's", 'Make one for each model.');
  if (state !== undefined)
    throw invalid('generate.prefixCache', 'a cache and a state', 'one of them: what came before a state is not known');
}

function resolveDraft(
  draft: SpeculativeOptions,
  vocabSize: number,
  state: ModelState | undefined,
): { model: Model; tokens: number } {
  checkOptions('generate.draft', draft, ['model', 'tokens']);
  const { model, tokens = 4 } = draft;
  if (typeof model?.forward !== 'function') throw invalid('generate.draft.model', String(model), 'a Model');
  checkInteger('generate.draft.tokens', tokens, 1, 64);
  if (model.config.vocabSize !== vocabSize)
    throw invalid('generate.draft.model', `a vocabulary of ${model.config.vocabSize}`, `${vocabSize}, as the model's`);
  if (state !== undefined)
    throw invalid(
      'generate.draft',
      'a draft and a state',
      'one of them: the draft has not read what came before a state',
    );
  return { model, tokens };
}
