// One state a lane.
alias StateVec = f32;
const STATES_PER_VEC = 1u;

fn sumOf(vec: StateVec) -> f32 {
  return vec;
}

fn part(vec: StateVec, i: u32) -> f32 {
  return vec;
}

fn setPart(vec: ptr<function, StateVec>, i: u32, value: f32) {
  *vec = value;
}
