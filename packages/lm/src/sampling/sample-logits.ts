/**
 * Sampling on the host, in float64: the twin of core's operation `sample`, which it equals but for draws within
 * rounding of a border, with the steps that no backend has (bias, penalties, typical).
 */
import { invalid } from '@mamba/core';
import { checkIds } from '../check.ts';
import { resolveSampling, type Sampling, type SamplingOptions } from './options.ts';
import { PenaltyWindow } from './penalty-window.ts';

/**
 * Draws one token of a row of logits `[vocab]`. Unlike `generate`, and like `sample`, the temperature is 1 unless
 * given.
 * @param uniform In [0, 1).
 * @param previous The tokens so far, for the penalties.
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
 * What is drawn from: a weight for each token, 0 for those that were dropped; the sum of them is not 1. One-hot where
 * the temperature is 0, where the largest logit is infinite, and where all are NaN; a NaN among others has weight 0.
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
 * The first id, in index order, at which the running sum exceeds uniform times the total; the last possible one if
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

/** The largest, the lowest index of a tie; NaN counts as the smallest. */
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
 * The `count` largest, and of these the shortest prefix whose share of their sum reaches `mass`; the lowest index wins
 * a tie.
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

function keepTypical(weights: Float64Array, mass: number): void {
  let total = 0;
  for (const weight of weights) total += weight;
  const surprise = (id: number): number => Math.log(total / weights[id]!);
  const ids = Array.from(weights.keys()).filter((id) => weights[id]! > 0);
  const entropy = ids.reduce((sum, id) => sum + (weights[id]! / total) * surprise(id), 0);
  const distances = new Map(ids.map((id) => [id, Math.abs(surprise(id) - entropy)]));
  // The sort is stable, so the lowest index wins a tie.
  ids.sort((a, b) => distances.get(a)! - distances.get(b)!);
  const size = prefixReaching(
    ids.map((id) => weights[id]!),
    ids.length,
    mass,
  );
  for (const id of ids.slice(size)) weights[id] = 0;
}

function keepAbove(weights: Float64Array, share: number): void {
  const least = share * weights[argmax(weights)]!;
  for (let id = 0; id < weights.length; id++) if (weights[id]! < least) weights[id] = 0;
}

/** Size of the shortest prefix of the first `size` values whose share of their sum reaches `mass`; at least one. */
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
