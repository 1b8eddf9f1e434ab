// Complex numbers as vec2f, real part first; and four of them at a time, as two vec4f.

fn times(a: vec2f, b: vec2f) -> vec2f {
  return vec2f(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

/// The product of b with the conjugate of a: what a derivative a makes of a gradient b.
fn conjugateTimes(a: vec2f, b: vec2f) -> vec2f {
  return vec2f(a.x * b.x + a.y * b.y, a.x * b.y - a.y * b.x);
}

struct Four {
  re: vec4f,
  im: vec4f,
}

fn fourTimes(a: Four, b: Four) -> Four {
  return Four(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re);
}

fn fourSum(a: Four, b: Four) -> Four {
  return Four(a.re + b.re, a.im + b.im);
}

fn fourScaled(a: Four, factor: f32) -> Four {
  return Four(a.re * factor, a.im * factor);
}
