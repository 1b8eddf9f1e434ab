// Copies up to seven operands into one buffer, since a browser promises only eight storage buffers a shader. It is one
// dispatch in place of copies, which would end the compute pass and wait for each other. A lane copies one element of
// each operand. Bytes an element: 4 read, 4 written.

struct Args {
  count0: u32,
  begin0: u32,
  at0: u32,
  count1: u32,
  begin1: u32,
  at1: u32,
  count2: u32,
  begin2: u32,
  at2: u32,
  count3: u32,
  begin3: u32,
  at3: u32,
  count4: u32,
  begin4: u32,
  at4: u32,
  count5: u32,
  begin5: u32,
  at5: u32,
  count6: u32,
  begin6: u32,
  at6: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> source0: array<u32>;
@group(0) @binding(2) var<storage, read> source1: array<u32>;
@group(0) @binding(3) var<storage, read> source2: array<u32>;
@group(0) @binding(4) var<storage, read> source3: array<u32>;
@group(0) @binding(5) var<storage, read> source4: array<u32>;
@group(0) @binding(6) var<storage, read> source5: array<u32>;
@group(0) @binding(7) var<storage, read> source6: array<u32>;
@group(0) @binding(8) var<storage, read_write> packed: array<u32>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let i = (tile_id.y * tiles_count.x + tile_id.x) * 256u + index;
  if (i < args.count0) {
    packed[args.at0 + i] = source0[args.begin0 + i];
  }
  if (i < args.count1) {
    packed[args.at1 + i] = source1[args.begin1 + i];
  }
  if (i < args.count2) {
    packed[args.at2 + i] = source2[args.begin2 + i];
  }
  if (i < args.count3) {
    packed[args.at3 + i] = source3[args.begin3 + i];
  }
  if (i < args.count4) {
    packed[args.at4 + i] = source4[args.begin4 + i];
  }
  if (i < args.count5) {
    packed[args.at5 + i] = source5[args.begin5 + i];
  }
  if (i < args.count6) {
    packed[args.at6 + i] = source6[args.begin6 + i];
  }
}
