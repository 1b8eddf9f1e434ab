// States by fours: one vec4 of registers, and one vec4 load from workgroup memory.
alias Lane = vec4f;
const WIDTH = 4u;

fn sumOf(lane: Lane) -> f32 {
  return (lane.x + lane.y) + (lane.z + lane.w);
}

fn part(lane: Lane, i: u32) -> f32 {
  return lane[i];
}

fn setPart(lane: ptr<function, Lane>, i: u32, value: f32) {
  (*lane)[i] = value;
}
