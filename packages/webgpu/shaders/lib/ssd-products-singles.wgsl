// Four states of a step of B or C, zero behind the last one.
alias Piece = f32;

fn bAt(at: u32, n: u32) -> vec4f {
  let last = args.state - 1u - n;
  let first = at + n;
  let some = vec4f(B[first], B[first + min(1u, last)], B[first + min(2u, last)], B[first + min(3u, last)]);
  return select(vec4f(), some, vec4u(0u, 1u, 2u, 3u) <= vec4u(last));
}

fn cAt(at: u32, n: u32) -> vec4f {
  let last = args.state - 1u - n;
  let first = at + n;
  let some = vec4f(C[first], C[first + min(1u, last)], C[first + min(2u, last)], C[first + min(3u, last)]);
  return select(vec4f(), some, vec4u(0u, 1u, 2u, 3u) <= vec4u(last));
}
