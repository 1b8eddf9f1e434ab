/** The cases of attention, of rotary positions, and of the rows that a growing state is given. */
import type { HostTensor } from '@mamba/core';
import { type AttentionCaseOptions, attentionBackwardCase, attentionCase } from '../cases/attention.ts';
import type { Case } from '../cases/case.ts';
import { type RopeCaseOptions, ropeBackwardCase, ropeCase } from '../cases/rope.ts';
import { writeRowsCase } from '../cases/write-rows.ts';
import { plant } from './selective-scan.ts';

const SMALL = { batch: 2, queries: 13, heads: 4, kvHeads: 2, headDim: 8 };

export function attentionSuite(): readonly Case[] {
  return [...shapes(), ...masks(), ...pitfalls()].map((options, index) =>
    attentionCase({ seed: 900 + index, ...options }),
  );
}

export function attentionBackwardSuite(): readonly Case[] {
  const some: readonly AttentionCaseOptions[] = [
    { id: 'small', ...SMALL },
    { id: 'len1', ...SMALL, queries: 1 },
    { id: 'several-tiles', batch: 1, queries: 131, heads: 2, headDim: 8 },
    { id: 'long-cache', ...SMALL, queries: 3, keys: 150 },
    { id: 'odd-head', batch: 1, queries: 9, heads: 3, kvHeads: 1, headDim: 5 },
    { id: 'not-causal', ...SMALL, keys: 21, causal: false },
    { id: 'everything', ...SMALL, keys: 31, ...EVERYTHING },
    { id: 'sees-nothing', ...SMALL, keys: 9, offset: -2 },
    { id: 'head64', batch: 1, queries: 37, heads: 2, kvHeads: 1, headDim: 64, flat: true },
  ];
  return some.map((options, index) => attentionBackwardCase({ seed: 950 + index, ...options }));
}

/** A query that stands in another segment than its keys, and one before all keys, see nothing. */
const EVERYTHING = {
  ...{ window: 6, globalTokens: 2, scale: 0.3, softcap: 4 },
  keyLengths: [27, 31],
  offsets: [18, 5],
  reach: (query: number): number => query + 3,
  segments: (key: number): number => Math.floor(key / 11),
};

function shapes(): AttentionCaseOptions[] {
  return [
    ...[1, 2, 17, 64, 65, 130].map((queries) => ({ batch: 1, queries, heads: 2, headDim: 8 })),
    ...[1, 3, 4, 6, 16, 20, 64, 80, 128].map((headDim) => ({ batch: 1, queries: 19, heads: 2, kvHeads: 1, headDim })),
    ...[1, 2, 3, 6].map((kvHeads) => ({ batch: 2, queries: 7, heads: 6, kvHeads, headDim: 8 })),
    // One query, or a few, against a long cache, whose keys are cut into parts.
    ...[1, 3, 9].map((queries) => ({ id: `cache-q${queries}`, ...SMALL, queries, keys: 700 })),
    { id: 'flat', ...SMALL, flat: true },
    { id: 'flat-flags', ...SMALL, flat: true, keys: 40, causal: false },
  ];
}

function masks(): AttentionCaseOptions[] {
  return [
    { id: 'not-causal', ...SMALL, causal: false },
    { id: 'not-causal-window', ...SMALL, keys: 70, causal: false, window: 5 },
    ...[1, 2, 7, 100].map((window) => ({ id: `window${window}`, ...SMALL, queries: 90, window })),
    { id: 'window-sinks', ...SMALL, queries: 90, window: 4, globalTokens: 3 },
    { id: 'window-long-cache', ...SMALL, queries: 2, keys: 500, window: 30, globalTokens: 3 },
    { id: 'segments', ...SMALL, queries: 45, segments: (key) => Math.floor(key / 7) % 3 },
    { id: 'key-lengths', ...SMALL, keys: 40, keyLengths: [40, 3] },
    { id: 'key-lengths-zero', ...SMALL, keyLengths: [0, 13] },
    { id: 'offset', ...SMALL, keys: 40, offset: 11 },
    { id: 'offset-before-keys', ...SMALL, keys: 9, offset: -5 },
    { id: 'offset-behind-keys', ...SMALL, keys: 9, offset: 7 },
    { id: 'offsets', ...SMALL, keys: 40, offsets: [27, 2] },
    { id: 'offsets-step', ...SMALL, queries: 1, keys: 300, offsets: [299, 70] },
    { id: 'reach', ...SMALL, queries: 40, reach: (query) => (query % 9) + 1 },
    { id: 'reach-sinks', ...SMALL, queries: 40, reach: (query) => (query % 19) + 1, window: 3, globalTokens: 2 },
    { id: 'scale', ...SMALL, scale: -0.2 },
    { id: 'softcap', ...SMALL, softcap: 0.7, deviation: 3 },
    { id: 'everything', ...SMALL, keys: 31, ...EVERYTHING },
  ];
}

function pitfalls(): AttentionCaseOptions[] {
  return [
    { id: 'large-scores', ...SMALL, queries: 70, deviation: 40 },
    { id: 'equal-scores', ...SMALL, queries: 70, deviation: 0 },
    // What lies behind a row's keys is not read, whatever it is.
    { id: 'nan-behind-cache', ...SMALL, keys: 40, offset: 5, edit: spoil(18) },
    { id: 'nan-behind-key-lengths', ...SMALL, keys: 40, causal: false, keyLengths: [9, 9], edit: spoil(9) },
    { id: 'nan-q', ...SMALL, edit: plant('q', 37, Number.NaN) },
    { id: 'nan-v', ...SMALL, queries: 1, edit: plant('v', 2, Number.NaN) },
    { id: 'infinite-k', ...SMALL, queries: 1, keys: 3, edit: plant('k', 3, Number.POSITIVE_INFINITY) },
  ];
}

/** Writes NaN to all keys and values from this key on. */
function spoil(from: number) {
  return ({ k, v }: Record<string, HostTensor>): void => {
    const [, keys, kvHeads, headDim] = k!.shape as [number, number, number, number];
    for (const { data } of [k!, v!])
      for (let index = 0; index < data.length; index++)
        if (Math.floor(index / (kvHeads * headDim)) % keys >= from) data[index] = Number.NaN;
  };
}

const ROPE = { batch: 2, length: 7, heads: 3, headDim: 8 };

function rotations(): RopeCaseOptions[] {
  return [
    ROPE,
    { id: 'len1', ...ROPE, length: 1, offset: 12 },
    { id: 'interleaved', ...ROPE, interleaved: true, offset: 3 },
    { id: 'partial', ...ROPE, headDim: 13, rotaryDim: 6 },
    { id: 'partial-interleaved', ...ROPE, headDim: 13, rotaryDim: 6, interleaved: true },
    { id: 'flat', ...ROPE, flat: true, offset: 5 },
    { id: 'far', ...ROPE, offset: 2 ** 29 - 3 },
    { id: 'before-0', ...ROPE, offset: -100_003 },
    { id: 'positions', ...ROPE, positions: (token) => 4099 * token },
    { id: 'frequencies', ...ROPE, frequencies: [1, 0.3, -0.01, 0], offset: 1000 },
    { id: 'theta', ...ROPE, headDim: 64, theta: 500_000, offset: 100_000 },
  ];
}

export function ropeSuite(): readonly Case[] {
  return rotations().map((options, index) => ropeCase({ seed: 970 + index, ...options }));
}

export function ropeBackwardSuite(): readonly Case[] {
  return rotations()
    .slice(2, 9)
    .map((options, index) => ropeBackwardCase({ seed: 990 + index, ...options }));
}

export function writeRowsSuite(): readonly Case[] {
  return [
    writeRowsCase({ batch: 2, capacity: 9, length: 1, channels: 6 }),
    writeRowsCase({ batch: 2, capacity: 9, length: 3, channels: 5, offset: 6, id: 'at-the-end' }),
    writeRowsCase({ batch: 1, capacity: 4, length: 4, channels: 1, id: 'all' }),
    writeRowsCase({ batch: 3, capacity: 9, length: 2, channels: 7, offsets: [7, 0, 3], id: 'offsets' }),
    writeRowsCase({ batch: 2, capacity: 40, length: 33, channels: 64, offsets: [7, 0], id: 'long' }),
  ];
}
