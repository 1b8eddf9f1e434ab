// Activations that lie turned, as [depth, xRow]: expects the libraries `x-stored` and `weights`.

/// Four rows, from a multiple of 4 on, of an input. Rows past the last hold anything.
fn turnedInput(input: u32, row: u32) -> vec4f {
  let i = args.xOffset + input * args.xRow + row;
  if (ALIGNED) {
    return x4(i >> 2u);
  }
  return straddle(x4(i >> 2u), x4((i >> 2u) + 1u), i & 3u);
}
