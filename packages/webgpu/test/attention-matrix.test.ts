// The kernel of attention for matrix units, with the units emulated, since SwiftShader has none: a lane holds every
// element of an operand, and of a sum the eight that it stores, half of a row. So all of the kernel is checked but the
// units themselves.
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
import type { Shader } from '../src/gpu/shader.ts';
import { attention } from '../src/operations/attention.ts';
import { kernelContext } from '../src/operations/kernel-context.ts';

const EMULATION = `
var<private> laneOfSubgroup: u32;

fn halfOf(words: vec4u, i: u32) -> f32 {
  return unpack2x16float(words[i / 2u])[i % 2u];
}

fn multiplyAccumulate(left: Left, right: Right, sums: Result) -> Result {
  var result = sums;
  let row = laneOfSubgroup / 2u;
  for (var j = 0u; j < 8u; j++) {
    let column = 8u * (laneOfSubgroup % 2u) + j;
    for (var depth = 0u; depth < 16u; depth++) {
      result[j] += left.values[16u * row + depth] * right.values[16u * depth + column];
    }
  }
  return result;
}

fn storeScores(at: u32, sums: Result, stride: u32) {
  let to = at + laneOfSubgroup / 2u * stride + 2u * (laneOfSubgroup % 2u);
  weights[to] = bitcast<vec4u>(vec4f(sums[0], sums[1], sums[2], sums[3]));
  weights[to + 1u] = bitcast<vec4u>(vec4f(sums[4], sums[5], sums[6], sums[7]));
}

fn storeMoved(at: u32, sums: Result, stride: u32) {
  let to = at + laneOfSubgroup / 2u * stride + 2u * (laneOfSubgroup % 2u);
  moved[to] = bitcast<vec4u>(vec4f(sums[0], sums[1], sums[2], sums[3]));
  moved[to + 1u] = bitcast<vec4u>(vec4f(sums[4], sums[5], sums[6], sums[7]));
}

fn loadMoved() -> Result {
  let place = laneOfSubgroup / 2u * MOVED + 2u * (laneOfSubgroup % 2u);
  let one = bitcast<vec4f>(moved[place]);
  let other = bitcast<vec4f>(moved[place + 1u]);
  return Result(one.x, one.y, one.z, one.w, other.x, other.y, other.z, other.w);
}

struct Operand { values: array<f32, 256> }

fn loadTiles(at: u32, stride: u32, turned: bool) -> Operand {
  var result: Operand;
  for (var i = 0u; i < 16u; i++) {
    for (var j = 0u; j < 16u; j++) {
      let value = halfOf(tiles[at + i * stride + j / 8u], j % 8u);
      result.values[select(16u * i + j, 16u * j + i, turned)] = value;
    }
  }
  return result;
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

const PACKED = /vec4u\(bitcast<vec2u>\(vec4<f16>\(first\)\), bitcast<vec2u>\(vec4<f16>\(second\)\)\)/;
const PACKED_INSTEAD =
  'vec4u(pack2x16float(first.xy), pack2x16float(first.zw), pack2x16float(second.xy), pack2x16float(second.zw))';

/** The text of the kernel with functions in place of the units. Lanes are counted in subgroups of 32. */
function emulated(text: string): string {
  return (
    text
      .replace(/ \/\/ unroll$/gm, '')
      .replace(/^enable (f16|chromium.+);$/gm, '')
      .replace(/^diagnostic\(.+\);$/gm, '')
      .replace(/alias (Left|Right) = .+;/g, 'alias $1 = Operand;')
      .replace(/alias Result = .+;/, 'alias Result = array<f32, 8>;')
      .replace(/subgroupMatrixLoad<Result, row_major>\(&moved, 0u, MOVED\);/g, 'loadMoved();')
      .replace(/subgroupMatrixLoad<Left, row_major>\(&weights, (.+), (SCORES|MATRIX)\);/g, 'loadWeights($1, $2);')
      .replace(/subgroupMatrixLoad<\w+, row_major>\(&tiles, (.+?), ROW\);/g, 'loadTiles($1, ROW, false);')
      .replace(/subgroupMatrixLoad<\w+, col_major>\(&tiles, (.+?), ROW\);/g, 'loadTiles($1, ROW, true);')
      .replace(/subgroupMatrixStore<row_major>\(&weights, /g, 'storeScores(')
      .replace(/subgroupMatrixStore<row_major>\(&moved, /g, 'storeMoved(')
      .replace(/subgroupMatrixMultiplyAccumulate/g, 'multiplyAccumulate')
      .replace(/\n *@builtin\(subgroup_id\) subgroup: u32,\n *@builtin\(subgroup_invocation_id\) lane: u32,/, '')
      .replace(
        /\) \{\n( *let count = )/,
        ') {\n  let subgroup = index / 32u;\n  let lane = index % 32u;\n  laneOfSubgroup = lane;\n$1',
      )
      .replace(PACKED, PACKED_INSTEAD) + EMULATION
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
beforeAll(async () => {
  const shader = attentionMatrix as Shader;
  Object.assign(shader.links, { default: emulated(shader.links.default!) });
  const halves = attentionHalves as Shader;
  const text = halves.links.default!.replace('enable f16;', '').replace(PACKED, PACKED_INSTEAD);
  Object.assign(halves.links, { default: text });
  gpu = new Gpu(await acquire({}));
  oracle = await reference().create();
});
afterAll(() => oracle.dispose());

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
