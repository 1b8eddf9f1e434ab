// Four channels of a row of dy or y, 0 behind the last one: functions of their own for want of
// pointers to storage.
alias Channels = f32;

fn dy4(row: u32, quad: u32) -> vec4f {
  let at = row * args.headDim + 4u * quad;
  let last = args.headDim - 1u - 4u * quad;
  let some = vec4f(dy[at], dy[at + min(1u, last)], dy[at + min(2u, last)], dy[at + min(3u, last)]);
  return select(vec4f(), some, vec4u(0u, 1u, 2u, 3u) <= vec4u(last));
}

fn y4(row: u32, quad: u32) -> vec4f {
  let at = row * args.headDim + 4u * quad;
  let last = args.headDim - 1u - 4u * quad;
  let some = vec4f(y[at], y[at + min(1u, last)], y[at + min(2u, last)], y[at + min(3u, last)]);
  return select(vec4f(), some, vec4u(0u, 1u, 2u, 3u) <= vec4u(last));
}
