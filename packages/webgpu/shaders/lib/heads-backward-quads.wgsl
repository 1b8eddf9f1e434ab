// Four channels of a row of q, k, v or dy, whose number is a multiple of 4: functions of their own for want of
// pointers to storage.
alias Channels = vec4f;

fn q4(row: u32, quad: u32) -> vec4f {
  return q[row * QUADS + quad];
}

fn k4(row: u32, quad: u32) -> vec4f {
  return k[row * QUADS + quad];
}

fn v4(row: u32, quad: u32) -> vec4f {
  return v[row * QUADS + quad];
}

fn dy4(row: u32, quad: u32) -> vec4f {
  return dy[row * QUADS + quad];
}
