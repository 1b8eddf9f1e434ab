// Four channels of a row of q, k or v, 0 behind the last one: functions of their own for want of
// pointers to storage.
alias Channels = f32;

fn q4(row: u32, quad: u32) -> vec4f {
  let at = row * args.headDim + 4u * quad;
  let last = args.headDim - 1u - 4u * quad;
  let some = vec4f(q[at], q[at + min(1u, last)], q[at + min(2u, last)], q[at + min(3u, last)]);
  return select(vec4f(), some, vec4u(0u, 1u, 2u, 3u) <= vec4u(last));
}

fn k4(row: u32, quad: u32) -> vec4f {
  let at = row * args.headDim + 4u * quad;
  let last = args.headDim - 1u - 4u * quad;
  let some = vec4f(k[at], k[at + min(1u, last)], k[at + min(2u, last)], k[at + min(3u, last)]);
  return select(vec4f(), some, vec4u(0u, 1u, 2u, 3u) <= vec4u(last));
}

fn v4(row: u32, quad: u32) -> vec4f {
  let at = row * args.headDim + 4u * quad;
  let last = args.headDim - 1u - 4u * quad;
  let some = vec4f(v[at], v[at + min(1u, last)], v[at + min(2u, last)], v[at + min(3u, last)]);
  return select(vec4f(), some, vec4u(0u, 1u, 2u, 3u) <= vec4u(last));
}
