/**
 * Sampling on the host, in float64. It does what core's operation `sample` does (draws may differ within rounding), and
 * the steps that no backend has: bias, penalties and typical sampling.
 */
import { invalid } from '@mamba/core';
import { checkIds } from '../check.ts';
import { resolveSampling, type Sampling, type SamplingOptions } from './options.ts';
import { PenaltyWindow } from './penalty-window.ts';

/**
 * Draws one token. The default temperature is 1, as in the backends' `sample` and unlike `generate`.
 * @param logits `[vocabSize]`
 * @param uniform A random number in [0, 1).
 * @param previous The ids so far, for the penalties.
 * @returns the id.
 * @throws MambaError `invalid-argument`
 */
export function sampleLogits(
  logits: ArrayLike<number>,
  uniform: number,
  options: SamplingOptions = {},
  previous: ArrayLike<number> = [],
): number {
  if (!(logits?.length > 0)) throw invalid('sampleLogits.logits', String(logits), 'at least one number');
  if (!(uniform >= 0 && uniform < 1)) throw invalid('sampleLogits.uniform', String(uniform), 'a number in [0, 1)');
  const sampling = resolveSampling('sampleLogits', { temperature: 1, ...options }, logits.length);
  const ids = checkIds('sampleLogits.previous', previous, logits.length);
  const window = sampling.penalizes ? new PenaltyWindow(sampling.penaltyWindow, ids) : undefined;
  return draw(distribution(logits, sampling, window), uniform);
}

/**
 * The distribution after all options, as weights `[vocabSize]` that do not sum to 1; dropped tokens have 0. It is
 * one-hot at temperature 0, if the largest logit is infinite, and if all are NaN; a NaN among numbers has weight 0.
 * @throws MambaError `invalid-argument` if the bias forbids every token.
 */
export function distribution(
  logits: ArrayLike<number>,
  sampling: Sampling,
  window: PenaltyWindow | undefined,
): Float64Array {
  const weights = Float64Array.from(logits);
  adjust(weights, sampling, window);
  const best = argmax(weights);
  const largest = weights[best]!;
  if (largest === Number.NEGATIVE_INFINITY && sampling.logitBias.size > 0)
    throw invalid('generate.logitBias', 'a bias that forbids every token', 'at least one token that may come');
  if (sampling.temperature === 0 || !Number.isFinite(largest)) {
    weights.fill(0)[best] = 1;
    return weights;
  }
  for (let id = 0; id < weights.length; id++) {
    const weight = Math.exp((weights[id]! - largest) / sampling.temperature);
    weights[id] = Number.isNaN(weight) ? 0 : weight;
  }
  keepLikeliest(weights, sampling.topK, 1);
  if (sampling.typicalP < 1) keepTypical(weights, sampling.typicalP);
  keepLikeliest(weights, weights.length, sampling.topP);
  if (sampling.minP > 0) keepAbove(weights, sampling.minP);
  return weights;
}

/**
 * The first id at which the running sum of weights exceeds `uniform` times the total; the last one with a weight if
 * rounding leaves none.
 */
export function draw(weights: Float64Array, uniform: number): number {
  let total = 0;
  for (const weight of weights) total += weight;
  const target = uniform * total;
  let running = 0;
  let last = 0;
  for (let id = 0; id < weights.length; id++) {
    if (weights[id] === 0) continue;
    running += weights[id]!;
    last = id;
    if (running > target) break;
  }
  return last;
}

/** The index of the largest value, the lowest one of a tie. NaN counts as the smallest value. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let id = 1; id < values.length; id++)
    if (values[id]! > values[best]! || (Number.isNaN(values[best]!) && !Number.isNaN(values[id]!))) best = id;
  return best;
}

function adjust(logits: Float64Array, sampling: Sampling, window: PenaltyWindow | undefined): void {
  for (const [id, bias] of sampling.logitBias) logits[id]! += bias;
  if (window === undefined) return;
  const { repetitionPenalty, presencePenalty, frequencyPenalty } = sampling;
  for (const [id, count] of window.counts) {
    const logit = logits[id]!;
    const scaled = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty;
    logits[id] = scaled - count * frequencyPenalty - presencePenalty;
  }
}

/**
 * Keeps the `count` largest weights, and of these the fewest largest whose share of their sum reaches `mass`. The
 * lowest index wins a tie.
 */
function keepLikeliest(weights: Float64Array, count: number, mass: number): void {
  if (count >= weights.length && mass >= 1) return;
  const descending = weights.slice().sort().reverse();
  let size = Math.min(count, descending.length);
  if (mass < 1) size = prefixReaching(descending, size, mass);
  const threshold = descending[size - 1]!;
  let ties = size - descending.indexOf(threshold);
  for (let id = 0; id < weights.length; id++) {
    if (weights[id]! > threshold) continue;
    if (weights[id] === threshold && ties-- > 0) continue;
    weights[id] = 0;
  }
}

/** Keeps the fewest tokens, closest to the entropy first, whose share of the sum reaches `mass`. */
function keepTypical(weights: Float64Array, mass: number): void {
  let total = 0;
  for (const weight of weights) total += weight;
  const information = (id: number): number => Math.log(total / weights[id]!);
  const ids = Array.from(weights.keys()).filter((id) => weights[id]! > 0);
  const entropy = ids.reduce((sum, id) => sum + (weights[id]! / total) * information(id), 0);
  const distances = new Map(ids.map((id) => [id, Math.abs(information(id) - entropy)]));
  // The sort is stable, so the lowest index wins a tie.
  ids.sort((a, b) => distances.get(a)! - distances.get(b)!);
  const size = prefixReaching(
    ids.map((id) => weights[id]!),
    ids.length,
    mass,
  );
  for (const id of ids.slice(size)) weights[id] = 0;
}

/** Drops weights below `share` times the largest. */
function keepAbove(weights: Float64Array, share: number): void {
  const least = share * weights[argmax(weights)]!;
  for (let id = 0; id < weights.length; id++) if (weights[id]! < least) weights[id] = 0;
}

/** Length of the shortest prefix of the first `size` values whose share of their sum reaches `mass`, at least 1. */
function prefixReaching(values: ArrayLike<number>, size: number, mass: number): number {
  let total = 0;
  for (let index = 0; index < size; index++) total += values[index]!;
  let reached = 0;
  for (let index = 0; index < size; index++) {
    reached += values[index]!;
    if (reached >= mass * total) return index + 1;
  }
  return size;
}
