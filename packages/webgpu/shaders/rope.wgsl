// Rotary positions: a lane turns a pair of channels of a head, or copies a channel behind those that turn. The angle is
// formed in turns of 2^64 parts with integers, modulo one turn, so that it is exact at any position; sine and cosine
// are polynomials on an eighth of a turn, since an implementation's own may be wrong by 2^-11. Bytes a channel: 8.

struct Args {
  tokens: u32,
  length: u32,
  heads: u32,
  headDim: u32,
  pairs: u32,
  lanes: u32, // of a head: pairs, and channels that stay
  interleaved: u32,
  offset: i32,
  sign: f32, // 1, or -1 to turn back
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [tokens, heads, headDim]
@group(0) @binding(2) var<storage, read> positions: array<i32>; // [tokens]
@group(0) @binding(3) var<storage, read> turns: array<vec2u>; // [pairs]: a position's turns in parts of 2^64, high, low
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // [tokens, heads, headDim]

/// Whether positions are given. Otherwise they count from `offset` in each row.
override PLACED: bool = false;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let i = (tile_id.y * tiles_count.x + tile_id.x) * 64u + index;
  let head = i / args.lanes;
  let token = head / args.heads;
  if (token >= args.tokens) {
    return;
  }
  let lane = i % args.lanes;
  let first = head * args.headDim;
  if (lane >= args.pairs) {
    y[first + args.pairs + lane] = x[first + args.pairs + lane];
    return;
  }
  var position = args.offset + i32(token % args.length);
  if (PLACED) {
    position = positions[token];
  }
  let a = select(lane, 2u * lane, args.interleaved != 0u);
  let b = select(lane + args.pairs, 2u * lane + 1u, args.interleaved != 0u);
  let angle = rotation(position, turns[lane]);
  let u = x[first + a];
  let w = x[first + b];
  y[first + a] = u * angle.x - w * (args.sign * angle.y);
  y[first + b] = u * (args.sign * angle.y) + w * angle.x;
}

/// Cosine and sine of a position's angle.
fn rotation(position: i32, turn: vec2u) -> vec2f {
  // The high word of position · turn, modulo a turn: a negative position is its magnitude turned back.
  let size = u32(abs(position));
  let product = size * turn.x + highProduct(size, turn.y);
  let phase = select(product, ~product + 1u, position < 0) + 0x20000000u;
  let quarter = phase >> 30u;
  // From -1/8 to 1/8 of a turn, in radians.
  let r = f32(i32(phase & 0x3fffffffu) - 0x20000000) * 1.4629180792671596e-9;
  let q = r * r;
  let sine = r + r * q * (-0.16666666666 + q * (8.3333333e-3 + q * (-1.984126984e-4 + q * 2.755731922e-6)));
  let cosine = 1.0 + q * (-0.5 + q * (4.1666666666e-2 + q * (-1.38888888888e-3
    + q * (2.48015873e-5 - q * 2.755731922e-7))));
  let turned = select(vec2f(cosine, sine), vec2f(-sine, cosine), (quarter & 1u) != 0u);
  return select(turned, -turned, quarter >= 2u);
}

/// The high word of a product of two words.
fn highProduct(a: u32, b: u32) -> u32 {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u);
}
