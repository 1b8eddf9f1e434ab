/** The cases of what only training needs: gradients of the small operations, losses and updates. */
import { adamwCase } from '../cases/adamw.ts';
import type { Case } from '../cases/case.ts';
import { crossEntropyBackwardCase, crossEntropyCase } from '../cases/cross-entropy.ts';
import { embeddingBackwardCase } from '../cases/embedding.ts';
import { gradientNormCase } from '../cases/gradient-norm.ts';
import { layerNormBackwardCase } from '../cases/layer-norm.ts';
import { linearBackwardCase } from '../cases/linear.ts';
import { logProbBackwardCase } from '../cases/log-prob.ts';
import { multiplyBackwardCase } from '../cases/multiply.ts';
import { rmsNormBackwardCase } from '../cases/rms-norm.ts';
import { plant } from './selective-scan.ts';
import { ACTIVATIONS, EXTREMES } from './small-operations.ts';

const { NaN: nan, NEGATIVE_INFINITY: low } = Number;

export function linearBackwardSuite(): readonly Case[] {
  return [
    ...[1, 2, 3, 5, 8, 17, 64, 129].map((rows) =>
      linearBackwardCase({ rows, inputs: 21, outputs: 19, bias: true, seed: rows }),
    ),
    ...[1, 2, 3, 7, 8, 33, 127, 300].map((inputs) =>
      linearBackwardCase({ rows: 5, inputs, outputs: 11, seed: inputs }),
    ),
    ...[1, 2, 3, 7, 8, 33, 101].map((outputs) => linearBackwardCase({ rows: 6, inputs: 10, outputs, seed: outputs })),
    linearBackwardCase({ rows: [2, 3], inputs: 9, outputs: 5, bias: true, id: 'rank3' }),
    linearBackwardCase({ rows: [], inputs: 9, outputs: 5, id: 'rank1' }),
    linearBackwardCase({ rows: 7, inputs: 33, outputs: 29, matrix: false, bias: true, id: 'weight-without-role' }),
    linearBackwardCase({ rows: 130, inputs: 131, outputs: 133, bias: true, id: 'several-tiles' }),
    linearBackwardCase({ rows: 130, inputs: 131, outputs: 133, matrix: false, id: 'several-tiles-without-role' }),
    // Sums over many rows, which kernels cut into parts.
    linearBackwardCase({ rows: 2050, inputs: 7, outputs: 6, bias: true, matrix: false, id: 'many-rows' }),
    linearBackwardCase({ rows: 3, inputs: 6, outputs: 1025, id: 'long-sums' }),
    ...(['x', 'weight', 'bias'] as const).map((name) =>
      linearBackwardCase({ rows: 9, inputs: 13, outputs: 7, bias: true, wanted: [name], id: `only-${name}` }),
    ),
    ...(['float16', 'bfloat16'] as const).map((store) =>
      linearBackwardCase({ rows: 5, inputs: 33, outputs: 19, store, wanted: ['x'], id: `${store}-x` }),
    ),
    linearBackwardCase({ rows: 5, inputs: 9, outputs: 7, id: 'nan-x', edit: plant('x', 11, nan) }),
    linearBackwardCase({ rows: 5, inputs: 9, outputs: 7, id: 'nan-weight', edit: plant('weight', 11, nan) }),
  ];
}

export function rmsNormBackwardSuite(): readonly Case[] {
  return [
    ...[1, 2, 3, 5, 8, 13, 33, 64, 768].map((channels) => rmsNormBackwardCase({ rows: 5, channels, seed: channels })),
    ...[1, 2, 17, 129, 1030].map((rows) => rmsNormBackwardCase({ rows, channels: 10, seed: rows })),
    rmsNormBackwardCase({ rows: [2, 3], channels: 13, weight: false, id: 'no-weight' }),
    rmsNormBackwardCase({ rows: [], channels: 13, id: 'rank1' }),
    rmsNormBackwardCase({ rows: 3, channels: 13, eps: 0.5, id: 'eps-large' }),
    rmsNormBackwardCase({ rows: 3, channels: 13, scale: 0.003, id: 'default-eps-matters' }),
    rmsNormBackwardCase({ rows: 3, channels: 13, scale: 1e12, id: 'large' }),
    rmsNormBackwardCase({ rows: 3, channels: 13, scale: 1e-12, id: 'tiny' }),
    rmsNormBackwardCase({ rows: 3, channels: 13, scale: 0, id: 'zero' }),
  ];
}

export function layerNormBackwardSuite(): readonly Case[] {
  return [
    // The gradient of two channels is eps / variance of what cancels in it. With a small eps that would be some 1e-5,
    // of which float32 keeps three digits.
    layerNormBackwardCase({ rows: 5, channels: 2, eps: 0.5, seed: 2, id: 'two-channels' }),
    ...[3, 5, 8, 13, 33, 64, 768].map((channels) => layerNormBackwardCase({ rows: 5, channels, seed: channels })),
    ...[1, 2, 17, 129, 1030].map((rows) => layerNormBackwardCase({ rows, channels: 10, seed: rows })),
    layerNormBackwardCase({ rows: [2, 3], channels: 13, weight: false, bias: false, id: 'alone' }),
    layerNormBackwardCase({ rows: [2, 3], channels: 13, bias: false, id: 'no-bias' }),
    layerNormBackwardCase({ rows: [2, 3], channels: 13, weight: false, id: 'no-weight' }),
    layerNormBackwardCase({ rows: 3, channels: 13, eps: 0.5, id: 'eps-large' }),
    layerNormBackwardCase({ rows: 3, channels: 13, scale: 0, id: 'zero' }),
    layerNormBackwardCase({ rows: 3, channels: 133, mean: 1e4, id: 'large-mean' }),
  ];
}

export function embeddingBackwardSuite(): readonly Case[] {
  return [
    ...[1, 2, 7, 101].map((rows) => embeddingBackwardCase({ rows, channels: 13, ids: [2, 5], seed: rows })),
    ...[1, 3, 4, 33].map((channels) => embeddingBackwardCase({ rows: 11, channels, ids: [3, 3], seed: channels })),
    embeddingBackwardCase({ rows: 300, channels: 6, ids: [1], id: 'one-id' }),
    embeddingBackwardCase({ rows: 3, channels: 6, ids: [5, 401], id: 'many-repeats' }),
    embeddingBackwardCase({ rows: 1500, channels: 5, ids: [3, 700], matrix: false, id: 'table-without-role' }),
  ];
}

export function multiplyBackwardSuite(): readonly Case[] {
  return [
    ...[[1], [3], [2, 5], [3, 17, 7], [1023], [3, 4099]].map((shape, index) =>
      multiplyBackwardCase({ shape, activation: 'silu', seed: 340 + index }),
    ),
    ...ACTIVATIONS.flatMap((activation) => [
      multiplyBackwardCase({ shape: [3, 41], activation, seed: 351 }),
      multiplyBackwardCase({ shape: [3, 41], activation, second: false, seed: 352 }),
      multiplyBackwardCase({ shape: [3, 41], activation, scale: -0.3, id: `${activation}-two-scaled`, seed: 353 }),
      multiplyBackwardCase({ shape: [43], activation, range: [-12, 12], id: `${activation}-range`, seed: 354 }),
    ]),
    multiplyBackwardCase({ shape: [8], values: EXTREMES, id: 'none-ends' }),
  ];
}

export function logProbBackwardSuite(): readonly Case[] {
  return [
    ...[1, 2, 3, 33, 101, 5003].map((vocab) => logProbBackwardCase({ rows: [5], vocab, seed: vocab })),
    logProbBackwardCase({ rows: [2, 3], vocab: 17, id: 'rank3' }),
    logProbBackwardCase({ rows: [3], vocab: 9, scale: 40, shift: 300, id: 'large' }),
  ];
}

export function crossEntropySuite(): readonly Case[] {
  return both(crossEntropyCase);
}

export function crossEntropyBackwardSuite(): readonly Case[] {
  return both(crossEntropyBackwardCase);
}

function both(make: (options: Parameters<typeof crossEntropyCase>[0]) => Case): readonly Case[] {
  return [
    ...[1, 2, 3, 33, 101, 1025, 5003].map((vocab) => make({ rows: [5], vocab, seed: vocab })),
    make({ rows: [2, 3], vocab: 17, id: 'rank3' }),
    make({ rows: [], vocab: 17, id: 'rank1' }),
    make({ rows: [129], vocab: 33, ignored: true, id: 'ignored' }),
    make({ rows: [7], vocab: 33, labelSmoothing: 0.1, ignored: true, id: 'smooth-ignored' }),
    make({ rows: [5], vocab: 5003, labelSmoothing: 0.3, id: 'smooth-long' }),
    make({ rows: [5], vocab: 9, labelSmoothing: 1, id: 'smooth-whole' }),
    make({ rows: [3], vocab: 9, scale: 40, shift: 300, id: 'large' }),
    make({ rows: [2], vocab: 3, values: [low, 1, 2, 3, low, 1], id: 'minus-infinity' }),
    make({ rows: [2], vocab: 3, values: [nan, 1, 2, 3, 0, 1], id: 'nan' }),
  ];
}

export function gradientNormSuite(): readonly Case[] {
  return [
    gradientNormCase({ shapes: [[1]] }),
    gradientNormCase({ shapes: [[3], [2, 5], [1023], [3, 4, 5]] }),
    gradientNormCase({ shapes: [[70_001], [3]], id: 'many-parts' }),
    gradientNormCase({
      shapes: [[5], [16_384], [2], [16_385], [3, 7], [1], [40], [129], [33_000], [256], [11], [9]],
      id: 'many-tensors',
    }),
    gradientNormCase({ shapes: [[33], [7]], scale: 1e-15, id: 'tiny' }),
    gradientNormCase({ shapes: [[33], [7]], scale: 1e15, id: 'huge' }),
    gradientNormCase({ shapes: [[33], [7]], scale: 0, id: 'zero' }),
  ];
}

export function adamwSuite(): readonly Case[] {
  return [
    ...[[1], [3], [2, 5], [1023], [3, 4099]].map((shape, index) => adamwCase({ shape, seed: 360 + index })),
    adamwCase({ shape: [33], step: 1, id: 'first-step' }),
    adamwCase({ shape: [33], step: 100_000, id: 'late-step' }),
    adamwCase({ shape: [33], weightDecay: 0.1, learningRate: 0.5, id: 'decay' }),
    adamwCase({ shape: [33], beta1: 0, beta2: 0.5, id: 'betas' }),
    adamwCase({ shape: [33], eps: 1e-3, id: 'eps' }),
    adamwCase({ shape: [33], learningRate: 0, id: 'rate-zero' }),
    adamwCase({ shape: [33], norm: 5, maxNorm: 1, id: 'clipped' }),
    adamwCase({ shape: [33], norm: 0.5, maxNorm: 1, id: 'not-clipped' }),
    adamwCase({ shape: [33], norm: 5, id: 'norm-without-limit' }),
    adamwCase({ shape: [33], norm: 5, maxNorm: 1, weightDecay: 0.1, beta2: 0.95, rates: true, id: 'rates' }),
    adamwCase({ shape: [33], norm: nan, maxNorm: 1, id: 'nan-norm-writes-nothing' }),
    adamwCase({ shape: [33], norm: Number.POSITIVE_INFINITY, id: 'infinite-norm-writes-nothing' }),
    adamwCase({ shape: [33], scale: 1e-6, id: 'small-gradients' }),
  ];
}
