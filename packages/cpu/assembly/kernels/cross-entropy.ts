/**
 * The cross entropy of rows of logits, and the gradient of its logits. With p = softmax(logits) and s = smoothing:
 *
 *     y = log Σ exp(logits - max) - (1 - s) (logits[target] - max) - s mean(logits - max)
 *     dlogits = dy (p - (1 - s) (v = target) - s / vocab)
 *
 * and both are 0 where the target is below 0. A task is a row. The loss reads a row twice, three times with smoothing;
 * the gradient reads it three times and writes it once. p - 1 of the target is formed from the other terms, so that it
 * keeps its precision where p is near 1.
 */
import { exp } from '../lib/exp';
import { loadPart, storePart } from '../lib/lanes';
import { maximum } from './argmax';
import { total } from './layer-norm';
import { logOfSum, sumOthers } from './log-prob';

/** Addresses are in bytes. */
@unmanaged
export class CrossEntropyCall {
  logits: usize;
  targets: usize;
  y: usize;
  vocab: i32;
  smoothing: f32;
}

@unmanaged
export class CrossEntropyBackwardCall {
  logits: usize;
  targets: usize;
  dy: usize;
  dLogits: usize;
  vocab: i32;
  smoothing: f32;
  /** Multiplies dy: 1, or -1 for the gradient of a log-probability. */
  sign: f32;
}

export function crossEntropy(call: CrossEntropyCall, task: i32): void {
  const vocab = call.vocab;
  const place = <usize>task << 2;
  const target = load<i32>(call.targets + place);
  if (target < 0) {
    store<f32>(call.y + place, 0);
    return;
  }
  const logits = call.logits + <usize>task * (<usize>vocab << 2);
  const max = maximum(logits, vocab);
  const s = <f64>call.smoothing;
  const own = <f64>load<f32>(logits + (<usize>target << 2)) - <f64>max;
  let loss = <f64>logOfSum(sumOthers(logits, vocab, max)) - (1 - s) * own;
  // Without smoothing the mean has no weight, and an infinite logit must not make NaN of it.
  if (s != 0) loss -= s * (total(logits, vocab) / <f64>vocab - <f64>max);
  store<f32>(call.y + place, <f32>loss);
}

export function crossEntropyBackward(call: CrossEntropyBackwardCall, task: i32): void {
  const vocab = call.vocab;
  const place = <usize>task << 2;
  const row = <usize>task * (<usize>vocab << 2);
  const logits = call.logits + row;
  const dLogits = call.dLogits + row;
  const target = load<i32>(call.targets + place);
  if (target < 0) {
    memory.fill(dLogits, 0, <usize>vocab << 2);
    return;
  }
  const dy = load<f32>(call.dy + place) * call.sign;
  const max = maximum(logits, vocab);
  const others = sumOthers(logits, vocab, max);
  const whole: f32 = 1 + others;
  // Where the largest logit is infinite, nothing is a probability.
  const inverse: f32 = 1 / (whole + (max - max));
  const spread = call.smoothing / <f32>vocab;
  const shift = f32x4.splat(max);
  const factor = f32x4.splat(inverse);
  const spreads = f32x4.splat(spread);
  const dys = f32x4.splat(dy);
  for (let v = 0; v < vocab; v += 4) {
    const rest = vocab - v;
    const offset = <usize>v << 2;
    const p = f32x4.mul(exp(f32x4.sub(loadPart(logits + offset, rest), shift)), factor);
    storePart(dLogits + offset, f32x4.mul(dys, f32x4.sub(p, spreads)), rest);
  }
  const own = load<f32>(logits + (<usize>target << 2));
  const power = f32x4.extract_lane(exp(f32x4.splat(own - max)), 0);
  const rest = own == max ? others : whole - power;
  store<f32>(dLogits + (<usize>target << 2), dy * (call.smoothing - spread - rest * inverse));
}
