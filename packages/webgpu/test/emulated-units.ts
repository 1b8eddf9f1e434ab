import type { Shader } from '../src/gpu/shader.ts';

/**
 * Matrix units for SwiftShader, which has none: functions in place of the units, in the text of a kernel. A lane holds
 * every element of an operand, and of a sum the eight that it stores, half of a row. So all of a kernel is checked but
 * the units themselves.
 */
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
`;

const PACKED = /vec4u\(bitcast<vec2u>\(vec4<f16>\(first\)\), bitcast<vec2u>\(vec4<f16>\(second\)\)\)/;
const PACKED_INSTEAD =
  'vec4u(pack2x16float(first.xy), pack2x16float(first.zw), pack2x16float(second.xy), pack2x16float(second.zw))';

/** Replaces the texts of a kernel. Returns what puts them back, since the tests of a worker share modules. */
export function replaceTexts(shader: Shader, replaced: (text: string) => string): () => void {
  const before = { ...shader.links };
  for (const [link, text] of Object.entries(before)) Object.assign(shader.links, { [link]: replaced(text) });
  return () => Object.assign(shader.links, before);
}

/** The text of a kernel that needs f16 for nothing but to pack halves. */
export function withoutHalves(text: string): string {
  return text.replace(/^enable f16;$/gm, '').replace(PACKED, PACKED_INSTEAD);
}

/** A function that stores a sum in an array of workgroup memory as vec4us. */
export function storing(name: string, array: string): string {
  return `
fn ${name}(at: u32, sums: Result, stride: u32) {
  let to = at + laneOfSubgroup / 2u * stride + 2u * (laneOfSubgroup % 2u);
  ${array}[to] = bitcast<vec4u>(vec4f(sums[0], sums[1], sums[2], sums[3]));
  ${array}[to + 1u] = bitcast<vec4u>(vec4f(sums[4], sums[5], sums[6], sums[7]));
}
`;
}

/**
 * The text of a kernel with functions in place of the units. Lanes are counted in subgroups of 32, from the line in
 * `main` on that declares `first`. Matrices are loaded from `tiles` in strides of one of these names.
 */
export function emulated(text: string, { first, strides }: { first: string; strides: readonly string[] }): string {
  const load = (operand: string, order: string) =>
    new RegExp(`subgroupMatrixLoad<${operand}, ${order}>\\(&tiles, (.+?), (${strides.join('|')})\\);`, 'g');
  return (
    withoutHalves(text)
      .replace(/ \/\/ unroll$/gm, '')
      .replace(/^enable chromium.+;$/gm, '')
      .replace(/^diagnostic\(.+\);$/gm, '')
      .replace(/alias (Left|Right) = .+;/g, 'alias $1 = Operand;')
      .replace(/alias Result = .+;/, 'alias Result = array<f32, 8>;')
      .replace(load('\\w+', 'row_major'), 'loadTiles($1, $2, false);')
      .replace(load('\\w+', 'col_major'), 'loadTiles($1, $2, true);')
      .replace(/subgroupMatrixMultiplyAccumulate/g, 'multiplyAccumulate')
      .replace(/\n *@builtin\(subgroup_id\) subgroup: u32,\n *@builtin\(subgroup_invocation_id\) lane: u32,/, '')
      .replace(
        new RegExp(`\\) \\{\\n( *let ${first} = )`),
        ') {\n  let subgroup = index / 32u;\n  let lane = index % 32u;\n  laneOfSubgroup = lane;\n$1',
      ) + EMULATION
  );
}
