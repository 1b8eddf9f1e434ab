// Adds 1 to integers: the places of a step that was prepared, for the next one. A lane has one.

struct Args {
  size: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read_write> values: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < args.size) {
    values[id.x] += 1;
  }
}
