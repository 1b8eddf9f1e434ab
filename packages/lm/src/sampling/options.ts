import { invalid } from '@mamba/core';
import { checkInteger, checkNumber, checkOptions } from '@mamba/core/toolkit';

/**
 * How a token is chosen. The options are applied in this order: logit bias, penalties, temperature, topK, typicalP,
 * topP, minP. Logit bias, penalties, typicalP and `topLogProbs` make sampling run on the host; without them it runs on
 * the device.
 */
export interface SamplingOptions {
  /** Divides the logits; at 0 the likeliest token is taken each time. Default 0. */
  readonly temperature?: number | undefined;
  /** Keeps the k likeliest tokens. Requires a temperature above 0, as do topP, minP and typicalP. */
  readonly topK?: number | undefined;
  /** Keeps the fewest likeliest tokens whose probabilities sum to at least topP; 1 keeps all. */
  readonly topP?: number | undefined;
  /** Drops tokens less likely than minP times the likeliest; 0 drops none. */
  readonly minP?: number | undefined;
  /**
   * Locally typical sampling (arXiv 2202.00666): keeps the fewest tokens whose probabilities sum to at least typicalP,
   * those with an information content closest to the entropy first; 1 keeps all.
   */
  readonly typicalP?: number | undefined;
  /**
   * Divides the logit of a token in the penalty window, or multiplies it if it is negative (arXiv 1909.05858); 1 is
   * none.
   */
  readonly repetitionPenalty?: number | undefined;
  /** Subtracted once from the logit of a token in the window; 0 is none. Negative values encourage repetition. */
  readonly presencePenalty?: number | undefined;
  /** Subtracted from the logit of a token for each time it is in the window; 0 is none. */
  readonly frequencyPenalty?: number | undefined;
  /** Number of last tokens, prompt included, that the penalties look at; Infinity is all of them. Default 64. */
  readonly penaltyWindow?: number | undefined;
  /** Added to the logits of these ids; -Infinity forbids one. */
  readonly logitBias?: Readonly<Record<number, number>> | undefined;
}

/** Checked options with their defaults. */
export interface Sampling {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly typicalP: number;
  readonly repetitionPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  readonly penaltyWindow: number;
  readonly logitBias: ReadonlyMap<number, number>;
  /** Whether any penalty is in effect. */
  readonly penalizes: boolean;
  /** Whether the backends' `sample` implements all of it. */
  readonly onDevice: boolean;
}

export const SAMPLING_KEYS = [
  'temperature',
  'topK',
  'topP',
  'minP',
  'typicalP',
  'repetitionPenalty',
  'presencePenalty',
  'frequencyPenalty',
  'penaltyWindow',
  'logitBias',
] as const satisfies readonly (keyof SamplingOptions)[];

/** @throws MambaError `invalid-argument` for values out of range and options that contradict each other. */
export function resolveSampling(origin: string, options: SamplingOptions, vocabSize: number): Sampling {
  checkOptions(origin, options, SAMPLING_KEYS);
  const { temperature = 0, topK = Number.MAX_SAFE_INTEGER, topP = 1, minP = 0, typicalP = 1 } = options;
  const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0, penaltyWindow = 64 } = options;
  if (!(typeof temperature === 'number' && temperature >= 0 && temperature < Number.POSITIVE_INFINITY))
    throw invalid(`${origin}.temperature`, String(temperature), 'a number of at least 0');
  checkInteger(`${origin}.topK`, topK, 1);
  for (const [name, value] of Object.entries({ topP, minP, typicalP })) checkNumber(`${origin}.${name}`, value, 0, 1);
  if (!(repetitionPenalty > 0 && repetitionPenalty < Number.POSITIVE_INFINITY))
    throw invalid(`${origin}.repetitionPenalty`, String(repetitionPenalty), 'a number above 0');
  for (const [name, value] of Object.entries({ presencePenalty, frequencyPenalty }))
    if (!Number.isFinite(value)) throw invalid(`${origin}.${name}`, String(value), 'a finite number');
  if (penaltyWindow !== Number.POSITIVE_INFINITY) checkInteger(`${origin}.penaltyWindow`, penaltyWindow, 1);
  const penalizes = repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0;
  if (options.penaltyWindow !== undefined && !penalizes)
    throw invalid(`${origin}.penaltyWindow`, 'a window without a penalty', 'a penalty with it');
  const filters = { topK: options.topK !== undefined, topP: topP < 1, minP: minP > 0, typicalP: typicalP < 1 };
  const filter = Object.entries(filters).find(([, on]) => on)?.[0];
  if (temperature === 0 && filter !== undefined)
    throw invalid(`${origin}.${filter}`, 'a filter for sampling at temperature 0', 'a temperature above 0 with it');
  const logitBias = resolveBias(`${origin}.logitBias`, options.logitBias, vocabSize);
  return {
    ...{ temperature, topK, topP, minP, typicalP },
    ...{ repetitionPenalty, presencePenalty, frequencyPenalty, penaltyWindow, logitBias, penalizes },
    onDevice: typicalP === 1 && !penalizes && logitBias.size === 0,
  };
}

function resolveBias(origin: string, bias: SamplingOptions['logitBias'], vocabSize: number): Map<number, number> {
  if (typeof (bias ?? {}) !== 'object') throw invalid(origin, String(bias), 'an object of numbers by id');
  const resolved = new Map<number, number>();
  for (const [key, value] of Object.entries(bias ?? {})) {
    checkInteger(origin, /^\d+$/.test(key) ? Number(key) : Number.NaN, 0, vocabSize - 1);
    if (typeof value !== 'number' || Number.isNaN(value) || value === Number.POSITIVE_INFINITY)
      throw invalid(`${origin}[${key}]`, String(value), 'a finite number, or -Infinity to forbid the token');
    if (value !== 0) resolved.set(Number(key), value);
  }
  return resolved;
}
