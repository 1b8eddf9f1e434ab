// link: order, reduce, sample-bins
// Draws a token for each row; core's operations/sample.ts has the rule. A workgroup takes a row. Logits order as
// integers. A filter keeps every logit above a threshold, and the first few of those equal to it. Bins tell where topK
// and topP end, see lib/sample-bins.wgsl. Where a bin has more logits than there are lanes, for example where many are
// equal, the threshold is found by fixing one bit of it after the other. Bytes a logit: 4 a pass, from cache: 4 passes
// with one filter and 5 with two, where what they keep is not more than lanes, and 3 more where it is; 4 without a
// filter; 32 more for a filter whose bin is too large.

struct Args {
  rows: u32,
  vocab: u32,
  uniformRow: u32, // stride of `uniform_`, and where it begins
  uniformOffset: u32,
  idRow: u32,
  idOffset: u32,
  topK: u32,
  inverseTemperature: f32,
  topP: f32,
  minP: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<storage, read> logits: array<u32>; // [rows, vocab], float32 bits
@group(0) @binding(2) var<storage, read> random: array<f32>; // in [0, 1)
@group(0) @binding(3) var<storage, read_write> ids: array<i32>;
@group(0) @binding(4) var<storage, read_write> fed: array<i32>; // as in argmax.wgsl

override WORKGROUP: u32 = 256u;
override TOP_K: bool = false;
override TOP_P: bool = false;
override FEED: bool = false; // as in argmax.wgsl, with a random number of each step
override CHECKED: bool = false; // as in argmax.wgsl

var<workgroup> prefixes: array<vec2f, WORKGROUP>;
var<workgroup> broken: atomic<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) tile_id: vec3u,
  @builtin(num_workgroups) tiles_count: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let row = tile_id.y * tiles_count.x + tile_id.x;
  if (row >= args.rows) {
    return;
  }
  let base = row * args.vocab;
  let rounds = (args.vocab + WORKGROUP - 1u) / WORKGROUP;

  var largest = -3.4028234e38;
  for (var round = 0u; round < rounds; round += 4u) {
    let four = logitsAt(base, round, index);
    for (var k = 0u; k < 4u; k++) { // unroll
      if (orderOf(four[k]) != 0u) {
        largest = max(largest, bitcast<f32>(four[k]));
      }
      let inRow = (round + k) * WORKGROUP + index < args.vocab;
      if (CHECKED && inRow && (four[k] & 0x7f800000u) == 0x7f800000u) {
        atomicStore(&broken, 1u);
      }
    }
  }
  let peak = groupMax(largest, index);

  // Tokens are kept whose order is above the threshold, and the first `ties` of those equal to it.
  var threshold = 0u;
  var ties = args.vocab;
  // The bin in which topK ends, and the place in it.
  var kept = Bin(NOWHERE, 0u, 0u, 0.0);
  var end = End(0u, args.vocab, 0u, args.vocab, 0.0);
  let binned = (TOP_K || TOP_P) && (bitcast<u32>(peak) & 0x7f800000u) != 0x7f800000u;
  if (binned) {
    fillBins(base, rounds, peak, index);
  }
  var slow = !binned;
  if (TOP_K) {
    if (binned) {
      kept = findBin(f32(args.topK), 0.0, false, 0u, index);
      slow = kept.index != NOWHERE && kept.count > WORKGROUP;
      if (kept.index != NOWHERE && !slow) {
        sortBin(base, rounds, peak, kept, index);
        end = endAt(args.topK - kept.above - 1u, kept, index);
        threshold = end.threshold;
        ties = end.ties;
      }
    }
    if (slow) {
      for (var bit = 0x80000000u; bit > 0u; bit = bit >> 1u) {
        let candidate = threshold | bit;
        if (countFrom(base, rounds, candidate, index) >= f32(args.topK)) {
          threshold = candidate;
        }
      }
      ties = args.topK - u32(countFrom(base, rounds, threshold + 1u, index));
    }
  }
  if (TOP_P) {
    var bin = Bin(NOWHERE, 0u, 0u, 0.0);
    if (!slow) {
      let limited = kept.index != NOWHERE;
      let last = select(lastBin(index), kept.index, limited);
      let target_ = args.topP * select(massThrough(last, index), end.mass, limited);
      bin = findBin(0.0, target_, true, last, index);
      slow = bin.count > WORKGROUP;
      if (bin.index != NOWHERE && !slow) {
        sortBin(base, rounds, peak, bin, index);
        let lastPlace = select(bin.count - 1u, end.place, limited && bin.index == kept.index);
        end = endAt(placeOfMass(target_, bin, lastPlace, index), bin, index);
        threshold = end.threshold;
        ties = end.ties;
      }
    }
    if (slow) {
      let above = massFrom(base, rounds, threshold + 1u, peak, index);
      let target_ = args.topP * (above + f32(tiesOf(base, rounds, threshold, ties, index)) * weightAt(threshold, peak));
      let top = orderOf(bitcast<u32>(peak));
      var reached = 0u;
      for (var bit = 0x80000000u; bit > 0u; bit = bit >> 1u) {
        let candidate = reached | bit;
        // The condition is uniform, since every lane has the same sums.
        if (candidate <= top && (candidate <= threshold || massFrom(base, rounds, candidate, peak, index) >= target_)) {
          reached = candidate;
        }
      }
      let limit = select(args.vocab, ties, reached == threshold);
      let missing = target_ - massFrom(base, rounds, reached + 1u, peak, index);
      ties = min(limit, u32(max(1.0, ceil(missing / weightAt(reached, peak)))));
      threshold = reached;
    }
  }

  var step = 0;
  if (FEED) {
    step = fed[args.rows + row];
  }
  let part = random[args.uniformOffset + row * args.uniformRow + bitcast<u32>(step)];
  var id = NOWHERE;
  if (!slow && end.count <= WORKGROUP) {
    id = drawFromFew(base, rounds, peak, threshold, ties, part, index);
  }
  if (id == NOWHERE) {
    id = drawFromAll(base, rounds, peak, threshold, ties, part, index);
  }
  if (index == 0u) {
    if (FEED) {
      fed[row] = bitcast<i32>(id);
      fed[args.rows + row] = step + 1;
    }
    let marked = CHECKED && atomicLoad(&broken) != 0u;
    ids[args.idOffset + row * args.idRow + bitcast<u32>(step)] = select(bitcast<i32>(id), -1, marked);
  }
}

/// Draws from the logits that filters keep, in three passes. Gives the index; 0 where nothing has a weight.
fn drawFromAll(base: u32, rounds: u32, peak: f32, threshold: u32, ties: u32, part: f32, index: u32) -> u32 {
  // A lane owns a contiguous run of indices, so that sums over lanes are sums in index order.
  let first = min(index * rounds, args.vocab);
  let last = min(first + rounds, args.vocab);
  var equal = 0u;
  for (var i = first; i < last; i++) {
    equal += u32(orderOf(logits[base + i]) == threshold);
  }
  prefixes[index] = vec2f(f32(equal), 0.0);
  accumulate(index);
  let seen = u32(prefixes[index].x) - equal;
  workgroupBarrier();
  var rank = seen;
  var mass = 0.0;
  for (var i = first; i < last; i++) {
    let order = orderOf(logits[base + i]);
    let kept = order > threshold || (order == threshold && rank < ties);
    rank += u32(order == threshold);
    if (kept) {
      mass += keptWeight(logits[base + i], peak);
    }
  }
  prefixes[index] = vec2f(0.0, mass);
  if (index == 0u) {
    atomicStore(&lowest, NOWHERE);
    atomicStore(&listed, 0u);
  }
  accumulate(index);
  let bound = part * prefixes[WORKGROUP - 1u].y;
  var running = prefixes[index].y - mass;
  rank = seen;
  var found = NOWHERE;
  for (var i = first; i < last; i++) {
    let order = orderOf(logits[base + i]);
    let kept = order > threshold || (order == threshold && rank < ties);
    rank += u32(order == threshold);
    if (kept) {
      let weight = keptWeight(logits[base + i], peak);
      running += weight;
      if (weight > 0.0) {
        // Where rounding leaves nobody above the bound, the last one is drawn.
        atomicMax(&listed, i);
        if (running > bound && found == NOWHERE) {
          found = i;
        }
      }
    }
  }
  atomicMin(&lowest, found);
  let drawn = shareOf(&lowest, index);
  let fallback = shareOf(&listed, index);
  return select(drawn, fallback, drawn == NOWHERE);
}

/// exp((logit - peak) / temperature), which is p without its denominator; 0 for NaN.
fn weightAt(order: u32, peak: f32) -> f32 {
  if (order == 0u) {
    return 0.0;
  }
  return exp((floatOf(order) - peak) * args.inverseTemperature);
}

/// The weight after minP, which compares with the likeliest token, whose weight is 1.
fn keptWeight(bits: u32, peak: f32) -> f32 {
  let weight = weightAt(orderOf(bits), peak);
  return select(0.0, weight, weight >= args.minP);
}

fn countFrom(base: u32, rounds: u32, bound: u32, index: u32) -> f32 {
  var count = 0u;
  for (var round = 0u; round < rounds; round++) {
    let i = round * WORKGROUP + index;
    if (i < args.vocab) {
      count += u32(orderOf(logits[base + i]) >= bound);
    }
  }
  return groupSum(f32(count), index);
}

fn massFrom(base: u32, rounds: u32, bound: u32, peak: f32, index: u32) -> f32 {
  var mass = 0.0;
  for (var round = 0u; round < rounds; round++) {
    let i = round * WORKGROUP + index;
    if (i < args.vocab) {
      let order = orderOf(logits[base + i]);
      if (order >= bound) {
        mass += weightAt(order, peak);
      }
    }
  }
  return groupSum(mass, index);
}

/// The number of logits that equal the threshold, at most `limit`.
fn tiesOf(base: u32, rounds: u32, threshold: u32, limit: u32, index: u32) -> u32 {
  let count = countFrom(base, rounds, threshold, index) - countFrom(base, rounds, threshold + 1u, index);
  return min(limit, u32(count));
}

/// Inclusive prefix sums of `prefixes`, in lane order.
fn accumulate(index: u32) {
  for (var distance = 1u; distance < WORKGROUP; distance = distance << 1u) {
    workgroupBarrier();
    var before = vec2f();
    if (index >= distance) {
      before = prefixes[index - distance];
    }
    workgroupBarrier();
    prefixes[index] += before;
  }
  workgroupBarrier();
}
