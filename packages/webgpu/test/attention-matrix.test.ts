// The kernel of attention for matrix units, with the units emulated, since SwiftShader has none.
import {
  type AttentionCaseOptions,
  attentionCase,
  checkCase,
  describeReport,
  type TensorReport,
} from '@mamba/conformance';
import type { Backend } from '@mamba/core';
import { createBackend } from '@mamba/core/driver';
import { reference } from '@mamba/reference';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDriver } from '../src/driver.ts';
import { attentionHalves, attentionMatrix } from '../src/generated/index.ts';
import { acquire } from '../src/gpu/acquire.ts';
import { Gpu } from '../src/gpu/gpu.ts';
import { attention } from '../src/operations/attention.ts';
import { kernelContext } from '../src/operations/kernel-context.ts';
import { emulated, replaceTexts, storing, withoutHalves } from './emulated-units.ts';

const EMULATION = `
${storing('storeScores', 'weights')}
${storing('storeMoved', 'moved')}

fn loadMoved() -> Result {
  let place = laneOfSubgroup / 2u * MOVED + 2u * (laneOfSubgroup % 2u);
  let one = bitcast<vec4f>(moved[place]);
  let other = bitcast<vec4f>(moved[place + 1u]);
  return Result(one.x, one.y, one.z, one.w, other.x, other.y, other.z, other.w);
}

fn loadWeights(at: u32, stride: u32) -> Operand {
  var result: Operand;
  for (var i = 0u; i < 16u; i++) {
    for (var j = 0u; j < 16u; j++) {
      result.values[16u * i + j] = halfOf(weights[at + i * stride + j / 8u], j % 8u);
    }
  }
  return result;
}
`;

/** The text of the kernel with functions in place of the units. */
function emulatedAttention(text: string): string {
  return (
    emulated(text, { first: 'count', strides: ['ROW'] })
      .replace(/subgroupMatrixLoad<Result, row_major>\(&moved, 0u, MOVED\);/g, 'loadMoved();')
      .replace(/subgroupMatrixLoad<Left, row_major>\(&weights, (.+), (SCORES|MATRIX)\);/g, 'loadWeights($1, $2);')
      .replace(/subgroupMatrixStore<row_major>\(&weights, /g, 'storeScores(')
      .replace(/subgroupMatrixStore<row_major>\(&moved, /g, 'storeMoved(') + EMULATION
  );
}

const SIZES = { batch: 1, heads: 2, kvHeads: 1 } as const;
/** Of one pipeline, which SwiftShader takes seconds to compile with its emulation. */
const PLAIN: readonly Omit<AttentionCaseOptions, 'headDim'>[] = [
  { id: 'causal', ...SIZES, queries: 150 },
  { id: 'not-causal', ...SIZES, queries: 40, keys: 150, causal: false },
  { id: 'window-sinks', ...SIZES, queries: 150, window: 20, globalTokens: 3 },
  { id: 'softcap', ...SIZES, queries: 70, softcap: 2 },
  { id: 'sees-nothing', ...SIZES, queries: 40, keys: 9, offset: -20 },
];
/** Scores that grow by far more than results may be left unscaled for. Halves of them are wrong by whole units. */
const LARGE = { id: 'large-scores', ...SIZES, queries: 150, deviation: 20 };
const SEGMENTS = { id: 'segments', ...SIZES, queries: 90, segments: (key: number) => Math.floor(key / 40) };

let gpu: Gpu;
let oracle: Backend;
let putBack: (() => void)[];
beforeAll(async () => {
  putBack = [replaceTexts(attentionMatrix, emulatedAttention), replaceTexts(attentionHalves, withoutHalves)];
  gpu = new Gpu(await acquire({}));
  oracle = await reference().create();
});
afterAll(async () => {
  for (const restore of putBack) restore();
  await gpu.dispose();
  await oracle.dispose();
});

const variants = [
  { pairs: true, headDim: 16, calls: [...PLAIN, LARGE] },
  { pairs: false, headDim: 32, calls: [...PLAIN, SEGMENTS] },
];
describe.each(variants)('attention on matrix units, pairs $pairs', ({ pairs, headDim, calls }) => {
  test.each(calls)('$id', async (call) => {
    const precision = pairs ? 'float16x2' : 'float16';
    const kernels = { ...kernelContext(gpu, {}), matrixUnits: { precision, pairs, side: 4 } as const };
    const driver = createDriver(gpu);
    const backend = createBackend({
      ...driver,
      kernels: { ...driver.kernels, attention: (given) => attention(kernels, given) },
      dispose: () => {},
    });
    const tolerance = { relative: pairs ? 3e-5 : 5e-3, reason: 'products of halves, or of pairs of them' };
    const item = attentionCase({ ...call, headDim, tolerance });
    const outcome = await checkCase(item, { backend, reference: oracle });
    expect(outcome).not.toHaveProperty('skipped');
    const failed = (outcome as readonly TensorReport[]).filter(({ pass }) => !pass);
    expect(failed.map(describeReport)).toEqual([]);
    await backend.dispose();
  });
});
