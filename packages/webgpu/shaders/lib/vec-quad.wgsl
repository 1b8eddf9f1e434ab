// States in fours: one vec4 of registers, and one vec4 load from workgroup memory.
alias StateVec = vec4f;
const STATES_PER_VEC = 4u;

fn sumOf(vec: StateVec) -> f32 {
  return (vec.x + vec.y) + (vec.z + vec.w);
}

fn part(vec: StateVec, i: u32) -> f32 {
  return vec[i];
}

fn setPart(vec: ptr<function, StateVec>, i: u32, value: f32) {
  (*vec)[i] = value;
}
