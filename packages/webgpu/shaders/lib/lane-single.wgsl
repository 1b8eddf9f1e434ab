// One state a lane.
alias Lane = f32;
const WIDTH = 1u;

fn inner(a: Lane, b: Lane) -> f32 {
  return a * b;
}

fn part(lane: Lane, i: u32) -> f32 {
  return lane;
}

fn setPart(lane: ptr<function, Lane>, i: u32, value: f32) {
  *lane = value;
}
