// link: complex, s4d-planes, s4d-time, s4d-states
// The second pass of S4D's scan: states go from chunk to chunk. A lane has four states of one channel and row. It
// replaces what each chunk made of zeros by the states that the chunk begins with. A chunk multiplies its states by
// Abar^chunk, which is known in closed form, or makes zeros of them where it holds a reset.
// Bytes a chunk and state: 16, or 48 with SLOPES.

struct Args {
  length: u32,
  dim: u32,
  state: u32,
  quads: u32,
  chunk: u32,
  chunks: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> system: array<vec4f>; // [quads, PLANES, dim]
@group(0) @binding(2) var<storage, read> initial: array<f32>; // [batch, 2, dim, state], or without planes
@group(0) @binding(3) var<storage, read> resets: array<u32>; // [batch, length]
@group(0) @binding(4) var<storage, read_write> states: array<vec4f>;

override COMPLEX: bool = true;
/// Whether there is an initial state, or for the adjoint a cotangent of the last one.
override INITIAL: bool = false;
override SLOPES: bool = false;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) tile_id: vec3u, @builtin(local_invocation_index) index: u32) {
  let channel = tile_id.x * 64u + index;
  if (channel >= args.dim) {
    return;
  }
  let quad = tile_id.y;
  let row = tile_id.z;
  let kinds = select(1u, 3u, SLOPES);
  var power = planesOf(quad, POWER, channel);
  if (REVERSED) {
    power.im = -power.im;
  }
  let slope = planesOf(quad, POWER_SLOPE, channel);
  var S = beginning(row, quad, channel);
  var Q = Four();
  var P = Four();
  for (var chunk = 0u; chunk < args.chunks; chunk++) {
    let kept = !holdsReset(row, chunk);
    if (SLOPES) {
      P = exchanged(placeOf(row, chunk, kinds, 2u, quad, channel), P,
        chosen(fourSum(fourTimes(power, P), fourTimes(slope, S)), kept));
      Q = exchanged(placeOf(row, chunk, kinds, 1u, quad, channel), Q, chosen(fourTimes(power, Q), kept));
    }
    S = exchanged(placeOf(row, chunk, kinds, 0u, quad, channel), S, chosen(fourTimes(power, S), kept));
  }
}

/// Writes what a chunk begins with over what it made of zeros, and returns that plus `carried`.
fn exchanged(at: u32, begun: Four, carried: Four) -> Four {
  let made = statesAt(at);
  states[at] = begun.re;
  states[at + args.dim] = begun.im;
  return fourSum(made, carried);
}

/// The value, or zeros; a product with 0 would keep a NaN.
fn chosen(value: Four, kept: bool) -> Four {
  return Four(select(vec4f(), value.re, kept), select(vec4f(), value.im, kept));
}

fn holdsReset(row: u32, chunk: u32) -> bool {
  var marks = 0u;
  if (RESETS) {
    let end = min((chunk + 1u) * args.chunk, args.length);
    for (var first = chunk * args.chunk; first < end; first += TILE) {
      marks |= marksOf(row, first, min(TILE, end - first));
    }
  }
  return marks != 0u;
}

fn beginning(row: u32, quad: u32, channel: u32) -> Four {
  var S = Four();
  if (INITIAL) {
    let plane = args.dim * args.state;
    for (var lane = 0u; lane < 4u; lane++) {
      let n = 4u * quad + lane;
      if (n < args.state) {
        let at = row * select(1u, 2u, COMPLEX) * plane + channel * args.state + n;
        S.re[lane] = initial[at];
        if (COMPLEX) {
          S.im[lane] = initial[at + plane];
        }
      }
    }
  }
  return S;
}
