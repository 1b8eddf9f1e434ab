// One state a lane.
alias Lane = f32;
const WIDTH = 1u;

fn sumOf(lane: Lane) -> f32 {
  return lane;
}

fn part(lane: Lane, i: u32) -> f32 {
  return lane;
}

fn setPart(lane: ptr<function, Lane>, i: u32, value: f32) {
  *lane = value;
}
