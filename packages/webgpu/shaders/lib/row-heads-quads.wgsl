// Four channels of a row of dy or y, whose number is a multiple of 4: functions of their own for want of
// pointers to storage.
alias Channels = vec4f;

fn dy4(row: u32, quad: u32) -> vec4f {
  return dy[row * QUADS + quad];
}

fn y4(row: u32, quad: u32) -> vec4f {
  return y[row * QUADS + quad];
}
