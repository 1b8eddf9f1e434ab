/** The cases of operations that have few: a function for each operation. */
import type { Activation, HostTensor } from '@mamba/core';
import { addCase } from '../cases/add.ts';
import { argmaxCase } from '../cases/argmax.ts';
import { argsortCase } from '../cases/argsort.ts';
import type { Case, Tolerance } from '../cases/case.ts';
import { concatCase } from '../cases/concat.ts';
import { embeddingCase } from '../cases/embedding.ts';
import { layerNormCase } from '../cases/layer-norm.ts';
import { linearCase } from '../cases/linear.ts';
import { logProbCase } from '../cases/log-prob.ts';
import { multiplyCase } from '../cases/multiply.ts';
import { reshapeCase } from '../cases/reshape.ts';
import { rmsNormCase } from '../cases/rms-norm.ts';
import { sampleCase } from '../cases/sample.ts';
import { sliceCase } from '../cases/slice.ts';
import { plant } from './selective-scan.ts';

const { NaN: nan, NEGATIVE_INFINITY: low, POSITIVE_INFINITY: high } = Number;

/** The extreme arguments of activations. No activation is infinite for a finite number of these. */
export const EXTREMES = [nan, high, low, 0, -200, -1e30, 100, 1];

export function linearSuite(): readonly Case[] {
  return [
    // The number of rows decides between the matrix-vector path and the tiles of the matrix product.
    ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 17, 64, 129].map((rows) =>
      linearCase({ rows, inputs: 21, outputs: 19, seed: rows }),
    ),
    ...[1, 2, 3, 5, 7, 8, 13, 33, 64, 127, 300].map((inputs) =>
      linearCase({ rows: 5, inputs, outputs: 11, seed: inputs }),
    ),
    ...[1, 2, 3, 5, 7, 8, 13, 33, 64, 101].map((outputs) =>
      linearCase({ rows: 6, inputs: 10, outputs, seed: outputs }),
    ),
    ...[1, 2, 3, 9, 33].map((rows) => linearCase({ rows, inputs: 17, outputs: 23, bias: true, id: `bias-r${rows}` })),
    linearCase({ rows: [2, 3], inputs: 9, outputs: 5, bias: true, id: 'rank3' }),
    linearCase({ rows: [2, 3, 2], inputs: 9, outputs: 5, id: 'rank4' }),
    linearCase({ rows: [], inputs: 9, outputs: 5, id: 'rank1' }),
    linearCase({ rows: 7, inputs: 33, outputs: 29, matrix: false, id: 'weight-without-role' }),
    linearCase({ rows: 3, inputs: 1025, outputs: 6, id: 'long-sums' }),
    linearCase({ rows: 130, inputs: 131, outputs: 133, id: 'several-tiles' }),
    ...(['float16', 'bfloat16'] as const).flatMap((store) =>
      [1, 5].map((rows) => linearCase({ rows, inputs: 33, outputs: 19, store, id: `${store}-r${rows}` })),
    ),
    linearCase({ rows: 5, inputs: 9, outputs: 7, id: 'nan-x', edit: plant('x', 11, Number.NaN) }),
    linearCase({ rows: 5, inputs: 9, outputs: 7, id: 'nan-weight', edit: plant('weight', 11, Number.NaN) }),
    linearCase({ rows: 5, inputs: 9, outputs: 7, id: 'infinite-x', edit: plant('x', 44, Number.POSITIVE_INFINITY) }),
  ];
}

export function rmsNormSuite(): readonly Case[] {
  return [
    ...[1, 2, 3, 5, 7, 8, 13, 33, 64, 768].map((channels) => rmsNormCase({ rows: 5, channels, seed: channels })),
    ...[1, 2, 3, 17, 129].map((rows) => rmsNormCase({ rows, channels: 10, seed: rows })),
    rmsNormCase({ rows: [2, 3], channels: 13, weight: false, id: 'no-weight' }),
    rmsNormCase({ rows: [], channels: 13, id: 'rank1' }),
    rmsNormCase({ rows: 3, channels: 13, eps: 0, id: 'eps-zero' }),
    rmsNormCase({ rows: 3, channels: 13, eps: 0.5, id: 'eps-large' }),
    rmsNormCase({ rows: 3, channels: 13, scale: 0.003, id: 'default-eps-matters' }),
    rmsNormCase({ rows: 3, channels: 13, eps: 1e-6, scale: 0.001, id: 'eps-matters' }),
    rmsNormCase({ rows: 3, channels: 13, scale: 1e12, id: 'large' }),
    rmsNormCase({ rows: 3, channels: 13, scale: 1e-12, id: 'tiny' }),
    rmsNormCase({ rows: 3, channels: 13, scale: 0, id: 'zero' }),
    // Magnitudes whose squares no float32 holds.
    ...[1e-30, 1e-25, 1e-19, 1e19, 1e20, 1e30].flatMap((scale) =>
      [0, 1e-20, 1e-5].map((eps) => rmsNormCase({ rows: 3, channels: 133, scale, eps, id: `of-${scale}-eps-${eps}` })),
    ),
  ];
}

export function layerNormSuite(): readonly Case[] {
  return [
    ...[1, 2, 3, 5, 7, 8, 13, 33, 64, 768].map((channels) => layerNormCase({ rows: 5, channels, seed: channels })),
    ...[1, 2, 3, 17, 129].map((rows) => layerNormCase({ rows, channels: 10, seed: rows })),
    layerNormCase({ rows: [2, 3], channels: 13, weight: false, bias: false, id: 'alone' }),
    layerNormCase({ rows: [2, 3], channels: 13, bias: false, id: 'no-bias' }),
    layerNormCase({ rows: [2, 3], channels: 13, weight: false, id: 'no-weight' }),
    layerNormCase({ rows: [], channels: 13, id: 'rank1' }),
    layerNormCase({ rows: 3, channels: 13, eps: 0, id: 'eps-zero' }),
    layerNormCase({ rows: 3, channels: 13, eps: 0.5, id: 'eps-large' }),
    layerNormCase({ rows: 3, channels: 13, scale: 0.003, id: 'default-eps-matters' }),
    layerNormCase({ rows: 3, channels: 13, eps: 1e-6, scale: 0.001, id: 'eps-matters' }),
    layerNormCase({ rows: 3, channels: 13, scale: 0, id: 'zero' }),
    // The deviation is small beside the mean: mean(x²) - mean² would cancel it, and so would a rounded mean.
    ...[13, 16, 133, 1027].flatMap((channels) =>
      [1e4, -1e4, 1e7].map((mean) => layerNormCase({ rows: 3, channels, mean, id: `c${channels}-mean-${mean}` })),
    ),
    layerNormCase({ rows: 3, channels: 133, mean: 1, scale: 1e-6, eps: 0, id: 'few-steps-of-float32' }),
    // All values of a row are equal to its mean, so that the result is the bias.
    ...[0.1, 1e4, 1e30].map((mean) => layerNormCase({ rows: 3, channels: 133, mean, scale: 0, id: `equal-${mean}` })),
    layerNormCase({ rows: 3, channels: 133, bias: false, id: 'first-is-far', edit: plant('x', 133, 3e5) }),
    // Magnitudes whose squares no float32 holds.
    ...[1e-30, 1e-25, 1e-19, 1e19, 1e20, 1e30].flatMap((scale) =>
      [0, 1e-20, 1e-5].map((eps) =>
        layerNormCase({ rows: 3, channels: 133, scale, eps, id: `of-${scale}-eps-${eps}` }),
      ),
    ),
    layerNormCase({ rows: 3, channels: 134, mean: 1e20, scale: 1e17, id: 'large-mean' }),
    layerNormCase({ rows: 3, channels: 134, mean: 1e-25, scale: 1e-27, eps: 0, id: 'small-mean' }),
    // Values whose differences overflow float32.
    layerNormCase({ rows: 3, channels: 134, id: 'whole-range', edit: wholeRange }),
    layerNormCase({ rows: 3, channels: 13, id: 'nan-x', edit: plant('x', 17, nan) }),
    layerNormCase({ rows: 3, channels: 13, id: 'infinite-x', edit: plant('x', 25, high) }),
    layerNormCase({ rows: 3, channels: 13, id: 'nan-weight', edit: plant('weight', 4, nan) }),
    layerNormCase({ rows: 3, channels: 13, id: 'infinite-bias', edit: plant('bias', 4, low) }),
  ];
}

function wholeRange({ x }: Record<string, HostTensor>): void {
  for (let index = 0; index < x!.data.length; index++) x!.data[index] = (index % 3 === 0 ? -1 : 1) * 3e38;
}

export function embeddingSuite(): readonly Case[] {
  return [
    ...[1, 2, 3, 7, 101].map((rows) => embeddingCase({ rows, channels: 13, ids: [2, 5], seed: rows })),
    ...[1, 3, 4, 33].map((channels) => embeddingCase({ rows: 11, channels, ids: [3, 3], seed: channels })),
    embeddingCase({ rows: 11, channels: 6, ids: [1], id: 'one-id' }),
    embeddingCase({ rows: 11, channels: 6, ids: [2, 2, 3], id: 'ids-rank3' }),
    embeddingCase({ rows: 11, channels: 6, ids: [17], matrix: false, id: 'table-without-role' }),
    embeddingCase({ rows: 11, channels: 33, ids: [17], store: 'float16', id: 'float16' }),
    embeddingCase({ rows: 11, channels: 33, ids: [17], store: 'bfloat16', id: 'bfloat16' }),
  ];
}

export function addSuite(): readonly Case[] {
  return [[1], [3], [2, 5], [3, 17, 7], [2, 3, 5, 7], [1023], [4099]].map((shape, index) =>
    addCase({ shape, seed: 300 + index }),
  );
}

export function multiplySuite(): readonly Case[] {
  const shapes = [[1], [3], [2, 5], [3, 17, 7], [2, 3, 5, 7], [1023], [4099], [3, 8195]];
  return [
    ...shapes.flatMap((shape, index) => [
      multiplyCase({ shape, seed: 310 + index }),
      multiplyCase({ shape, activation: 'silu', seed: 320 + index }),
    ]),
    ...ACTIVATIONS.flatMap((activation) => [
      multiplyCase({ shape: [3, 41], activation, seed: 331 }),
      multiplyCase({ shape: [3, 41], activation, second: false, seed: 332 }),
      multiplyCase({ shape: [3, 41], activation, scale: -0.3, id: `${activation}-two-scaled`, seed: 333 }),
      multiplyCase({ shape: [43], activation, second: false, scale: 12, id: `${activation}-one-scaled`, seed: 334 }),
    ]),
    ...ACTIVATIONS.filter((activation) => activation !== 'reciprocal').flatMap((activation) => [
      multiplyCase({ shape: [8], activation, scale: 2, id: `${activation}-two-ends`, values: EXTREMES }),
      multiplyCase({ shape: [8], activation, second: false, id: `${activation}-one-ends`, values: EXTREMES }),
    ]),
    // Each result is held to its own relative error, whatever its size.
    multiplyCase({
      ...{ shape: [2002], activation: 'reciprocal', range: [-30, 30], level: true },
      ...{ tolerance: EACH, id: 'reciprocal-each' },
    }),
    multiplyCase({ shape: [3, 5], scale: 0, id: 'scale-zero', seed: 335 }),
    multiplyCase({ shape: [5], second: false, scale: 2 ** -60, id: 'scale-tiny', seed: 336 }),
    // Arguments down to where results become subnormal; each result is held to its own relative error.
    multiplyCase({ shape: [2003], activation: 'gelu', range: [-13, 1], level: true, tolerance: EACH, id: 'gelu-tail' }),
    multiplyCase({ shape: [503], activation: 'gelu', range: [-1, 13], second: false, tolerance: EACH, id: 'gelu-top' }),
    multiplyCase({ shape: [2003], activation: 'gelu-tanh', range: [-10, 1], level: true, id: 'gelu-tanh-tail' }),
    multiplyCase({ shape: [2003], activation: 'silu', range: [-40, 1], level: true, id: 'silu-tail' }),
    multiplyCase({ shape: [2003], activation: 'sigmoid', range: [-80, 1], level: true, id: 'sigmoid-tail' }),
    // An even number of values, so that none of them is 0.
    multiplyCase({
      shape: [2002],
      activation: 'tanh',
      range: [-2, 2],
      level: true,
      tolerance: EACH,
      id: 'tanh-near-0',
    }),
  ];
}

export const ACTIVATIONS: readonly Activation[] = [
  ...(['none', 'silu', 'gelu', 'gelu-tanh', 'relu2', 'exp', 'sigmoid', 'tanh', 'elu-plus-one', 'reciprocal'] as const),
];

const EACH: Tolerance = {
  relative: 2e-6,
  reason: 'some ten roundings of float32 for each result by itself, one exponential among them',
};

export function sliceSuite(): readonly Case[] {
  const shape = [3, 7, 5];
  return [
    sliceCase({ shape, axis: 0, start: 1, end: 2 }),
    sliceCase({ shape, axis: 0, start: 0, end: 3 }),
    sliceCase({ shape, axis: 1, start: 2, end: 7 }),
    sliceCase({ shape, axis: 1, start: 6, end: 7 }),
    sliceCase({ shape, axis: 2, start: 0, end: 2 }),
    sliceCase({ shape, axis: 2, start: 2, end: 5 }),
    sliceCase({ shape, axis: 1, start: 1, end: 4, int32: true }),
    sliceCase({ shape, axis: 2, start: 1, end: 4, int32: true }),
    sliceCase({ shape: [19], axis: 0, start: 3, end: 17 }),
    sliceCase({ shape: [2, 3, 4, 5], axis: 2, start: 1, end: 3 }),
    sliceCase({ shape: [2, 129, 33], axis: 2, start: 16, end: 33 }),
    // Whole vec4s, and runs of four that begin in the middle of one.
    sliceCase({ shape: [3, 7, 24], axis: 2, start: 8, end: 20 }),
    sliceCase({ shape: [3, 7, 24], axis: 2, start: 6, end: 18 }),
  ];
}

export function argsortSuite(): readonly Case[] {
  return [
    ...[[1], [2, 3], [3, 33], [2, 2, 257]].map((shape, index) => argsortCase({ shape, seed: 440 + index })),
    argsortCase({ shape: [2, 1025], different: 2 ** 30, id: 'all-different', seed: 445 }),
    argsortCase({ shape: [2, 600], different: 1, id: 'all-equal' }),
  ];
}

export function reshapeSuite(): readonly Case[] {
  return [
    reshapeCase({ shape: [2, 5, 12], to: [2, 5, 3, 4] }),
    reshapeCase({ shape: [3, 7, 5], to: [105] }),
    reshapeCase({ shape: [1], to: [1, 1] }),
    reshapeCase({ shape: [4, 9], to: [6, 6], int32: true }),
  ];
}

export function concatSuite(): readonly Case[] {
  return [
    concatCase({ shape: [3, 1, 5], axis: 1, extents: [2, 1, 4] }),
    concatCase({ shape: [1, 4, 5], axis: 0, extents: [1, 3] }),
    concatCase({ shape: [2, 3, 1], axis: 2, extents: [1, 2, 3, 4] }),
    concatCase({ shape: [2, 3, 1], axis: 2, extents: [5] }),
    concatCase({ shape: [1], axis: 0, extents: [3, 4] }),
    concatCase({ shape: [3, 1], axis: 1, extents: [1, 1, 1, 1, 1], int32: true }),
    concatCase({ shape: [3, 1], axis: 0, extents: [1, 2], int32: true }),
    // Whole vec4s, and one behind three words.
    concatCase({ shape: [3, 7, 1], axis: 2, extents: [8, 4] }),
    concatCase({ shape: [3, 7, 1], axis: 2, extents: [3, 4, 8] }),
  ];
}

export function argmaxSuite(): readonly Case[] {
  return [
    ...[1, 2, 3, 5, 16, 33, 101, 1025].map((vocab) => argmaxCase({ rows: [5], vocab, seed: vocab })),
    argmaxCase({ rows: [2, 3], vocab: 17, id: 'rank3' }),
    argmaxCase({ rows: [], vocab: 17, id: 'rank1' }),
    argmaxCase({ rows: [3], vocab: 5, id: 'ties', values: [1, 7, 7, 0, 7, 2, 2, 2, 2, 2, -1, -3, -1, -1, -5] }),
    ...NOT_FINITE.flatMap((some) => [argmaxCase(some), argmaxCase({ ...some, checked: true })]),
    argmaxCase({ rows: [1], vocab: 19, id: 'last', values: Array.from({ length: 19 }, (_, index) => index) }),
    argmaxCase({
      rows: [1],
      vocab: 19,
      id: 'tie-across-lanes',
      values: Array.from({ length: 19 }, (_, i) => (i === 6 || i === 17 ? 1 : 0)),
    }),
    // Rows that are long enough to be read in parts.
    argmaxCase({ rows: [3], vocab: 5003, seed: 5003 }),
    argmaxCase({
      rows: [3],
      vocab: 5000,
      id: 'tie-across-parts',
      values: Array.from({ length: 15_000 }, (_, i) => ([2047, 2048, 4096, 5300, 9999, 14_999].includes(i) ? 1 : 0)),
    }),
    argmaxCase({ rows: [3], vocab: 5003, seed: 5003, checked: true }),
  ];
}

/** Rows of logits that a checked choice marks with -1, and some that it does not. */
const NOT_FINITE = [
  { rows: [3], vocab: 5, id: 'nan', values: [nan, 1, 3, nan, 2, -9, nan, -8, -9, nan, 1, 2, nan, 3, 4] },
  { rows: [2], vocab: 5, id: 'all-nan', values: [nan, nan, nan, nan, nan, 1, 2, 3, 2, 1] },
  { rows: [2], vocab: 4, id: 'infinite', values: [low, low, low, low, 1, low, high, high] },
  { rows: [1], vocab: 4, id: 'nan-and-minus-infinity', values: [nan, low, nan, low] },
  { rows: [3], vocab: 3, id: 'minus-infinity-among-others', values: [low, 1, low, 2, low, low, low, low, -5] },
  { rows: [2], vocab: 19, id: 'nan-last', values: Array.from({ length: 38 }, (_, i) => (i === 18 ? nan : i % 7)) },
  {
    ...{ rows: [2], vocab: 4097, id: 'nan-parts' },
    values: Array.from({ length: 8194 }, (_, i) => (i < 4096 || i > 4097 ? nan : low)),
  },
  {
    ...{ rows: [3], vocab: 5000, id: 'one-in-parts' },
    values: Array.from({ length: 15_000 }, (_, i) => (i === 4999 ? nan : i === 7050 ? high : i % 11)),
  },
];

export function sampleSuite(): readonly Case[] {
  const many = { rows: [64], vocab: 33 };
  const ties = { rows: [6], vocab: 4, values: Array.from({ length: 24 }, () => 0.5) };
  const uniforms = [0, 0.1, 0.3, 0.6, 0.9, 1 - 2 ** -24];
  return [
    sampleCase({ ...many, id: 'default', seed: 401 }),
    sampleCase({ ...many, temperature: 0, seed: 402 }),
    sampleCase({ ...many, temperature: 0.3, seed: 403 }),
    sampleCase({ ...many, temperature: 2, seed: 404 }),
    sampleCase({ ...many, topK: 1, seed: 405 }),
    sampleCase({ ...many, topK: 5, seed: 406 }),
    sampleCase({ ...many, topK: 1000, seed: 407 }),
    sampleCase({ ...many, topP: 0, seed: 408 }),
    sampleCase({ ...many, topP: 0.5, seed: 409 }),
    sampleCase({ ...many, topP: 0.95, seed: 410 }),
    sampleCase({ ...many, minP: 0.1, seed: 411 }),
    sampleCase({ ...many, minP: 1, seed: 412 }),
    sampleCase({ ...many, temperature: 1.5, topK: 9, topP: 0.8, minP: 0.05, seed: 413 }),
    sampleCase({ rows: [2, 3], vocab: 101, topK: 20, id: 'rank3', seed: 414 }),
    sampleCase({ rows: [5], vocab: 1, id: 'one-token', seed: 415 }),
    sampleCase({ ...ties, uniforms, id: 'ties' }),
    sampleCase({ ...ties, uniforms, topK: 2, id: 'ties-lowest-index-kept' }),
    sampleCase({ ...ties, uniforms, temperature: 0, id: 'ties-argmax' }),
    sampleCase({
      rows: [3],
      vocab: 4,
      values: [low, 1, low, 2, 0, 0, low, low, 9, low, low, low],
      id: 'minus-infinite',
      seed: 416,
    }),
    sampleCase({
      rows: [3],
      vocab: 4,
      values: [900, 901, 899, 0, -900, -901, -899, -1e4, 3e4, 3e4, 0, 0],
      id: 'large',
      seed: 417,
    }),
    sampleCase({ ...many, temperature: 0.7, topK: 9, topP: 0.8, checked: true, seed: 418 }),
    ...NOT_FINITE.flatMap((some, index) => [
      sampleCase({ ...some, checked: true, seed: 420 + index }),
      sampleCase({ ...some, id: `${some.id}-coldest`, temperature: 0, checked: true, seed: 420 + index }),
      sampleCase({ ...some, id: `${some.id}-filtered`, topK: 3, topP: 0.9, checked: true, seed: 420 + index }),
    ]),
  ];
}

export function logProbSuite(): readonly Case[] {
  return [
    ...[1, 2, 3, 5, 33, 101, 1025].map((vocab) => logProbCase({ rows: [5], vocab, seed: vocab })),
    logProbCase({ rows: [2, 3], vocab: 17, id: 'rank3' }),
    logProbCase({ rows: [], vocab: 17, id: 'rank1' }),
    logProbCase({ rows: [7], vocab: 33, shift: 1024, id: 'large-logits' }),
    logProbCase({ rows: [7], vocab: 33, shift: -1024, id: 'very-negative-logits' }),
    logProbCase({ rows: [7], vocab: 33, scale: 0, id: 'equal' }),
    logProbCase({ rows: [1], vocab: 4, id: 'minus-infinite', values: [low, 1, low, 2] }),
    ...[4, 8, 16, 28, 60].map((lead) =>
      logProbCase({ rows: [1], vocab: 4, id: `certain-by-${lead}`, values: [0, -1, -2, lead] }),
    ),
    logProbCase({ rows: [1], vocab: 19, id: 'certain-in-a-tail', values: [...new Array<number>(18).fill(-9), 8] }),
    ...[1, 12, 20].map((lead) =>
      logProbCase({
        rows: [1],
        vocab: 151_936,
        id: `one-peak-of-${lead}`,
        values: [...new Array<number>(151_935).fill(0), lead],
      }),
    ),
    logProbCase({ rows: [1], vocab: 4, id: 'ties-of-the-largest', values: [5, -9, 5, 5] }),
    logProbCase({ rows: [1], vocab: 4, id: 'impossible', values: [1, 1, 3, low] }),
    logProbCase({ rows: [2], vocab: 3, id: 'nan', values: [nan, 1, 3, 1, 2, 3] }),
  ];
}
