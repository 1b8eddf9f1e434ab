// Where a filter of logits ends, in two passes over a row. Logits are counted, and their weights summed, in WORKGROUP
// bins of equal width below the largest; the last bin has all that is farther than REACH. The bin in which a filter
// ends is sorted, so that it must not have more logits than there are lanes. Sums in bins are integers, in units of
// 2^-40, so that they do not depend on the order in which lanes come. Expects `logits`, `args`, `prefixes`,
// `accumulate`, `weightAt`, and the library `order`.

/// What is left beyond weighs less than 3e-8 of the largest.
const REACH = 17.4;
const NOWHERE = 0xffffffffu;

var<workgroup> binCounts: array<atomic<u32>, WORKGROUP>;
var<workgroup> binLows: array<atomic<u32>, WORKGROUP>;
var<workgroup> binHighs: array<atomic<u32>, WORKGROUP>;
var<workgroup> listed: atomic<u32>;
var<workgroup> list: array<u32, WORKGROUP>; // orders, as they come
var<workgroup> sorted: array<u32, WORKGROUP>; // and from the largest on
var<workgroup> greater: array<u32, WORKGROUP>; // how many are greater
var<workgroup> lowest: atomic<u32>;
var<workgroup> shared_: u32;

/// A bin, and what lies above it.
struct Bin {
  index: u32, // NOWHERE: the filter does not end
  count: u32, // of its logits
  above: u32, // logits
  massAbove: f32,
}

/// The end of a filter: all logits above the threshold are kept, and the first `ties` of those equal to it.
struct End {
  threshold: u32,
  ties: u32,
  place: u32, // of the last one kept, in the sorted bin
  count: u32, // of what is kept
  mass: f32,
}

/// The bits of a lane's logits in four rounds, which are under way together; those of NaN behind the last.
fn logitsAt(base: u32, round: u32, index: u32) -> vec4u {
  let i = round * WORKGROUP + index;
  var four = vec4u(0xffffffffu);
  for (var k = 0u; k < 4u; k++) { // unroll
    if (i + k * WORKGROUP < args.vocab) {
      four[k] = logits[base + i + k * WORKGROUP];
    }
  }
  return four;
}

fn binOf(order: u32, peak: f32) -> u32 {
  let distance = (peak - floatOf(order)) * args.inverseTemperature;
  return u32(clamp(distance * (f32(WORKGROUP) / REACH), 0.0, f32(WORKGROUP - 1u)));
}

fn fillBins(base: u32, rounds: u32, peak: f32, index: u32) {
  atomicStore(&binCounts[index], 0u);
  atomicStore(&binLows[index], 0u);
  atomicStore(&binHighs[index], 0u);
  workgroupBarrier();
  for (var round = 0u; round < rounds; round += 4u) {
    let four = logitsAt(base, round, index);
    for (var k = 0u; k < 4u; k++) { // unroll
      let order = orderOf(four[k]);
      if (order != 0u) {
        let bin = binOf(order, peak);
        atomicAdd(&binCounts[bin], 1u);
        if (TOP_P) {
          let scaled = 256.0 * weightAt(order, peak);
          let whole = floor(scaled);
          let low = u32((scaled - whole) * 4294967296.0);
          let before = atomicAdd(&binLows[bin], low);
          atomicAdd(&binHighs[bin], u32(whole) + u32(before + low < low));
        }
      }
    }
  }
  workgroupBarrier();
}

fn massOf(bin: u32) -> f32 {
  return f32(atomicLoad(&binHighs[bin])) / 256.0 + f32(atomicLoad(&binLows[bin])) / 1099511627776.0;
}

/// The bin that holds the logit of a rank, or the one in which a mass is reached, from the largest logit on. No later
/// bin than `last` is taken. Each lane has a bin; `prefixes` holds their sums afterwards.
fn findBin(rank: f32, mass: f32, byMass: bool, last: u32, index: u32) -> Bin {
  let count = f32(atomicLoad(&binCounts[index]));
  let own = massOf(index);
  prefixes[index] = vec2f(count, own);
  if (index == 0u) {
    atomicStore(&lowest, NOWHERE);
  }
  accumulate(index);
  let through = prefixes[index];
  let before = through - vec2f(count, own);
  let ends = select(
    before.x < rank && rank <= through.x,
    (index == 0u || before.y < mass) && (mass <= through.y || index == last),
    byMass);
  if (ends) {
    atomicMin(&lowest, index);
  }
  let found = shareOf(&lowest, index);
  if (found == NOWHERE) {
    return Bin(NOWHERE, 0u, 0u, 0.0);
  }
  let inside = share(atomicLoad(&binCounts[found]), index);
  let above = prefixes[found] - vec2f(f32(inside), massOf(found));
  return Bin(found, inside, share(u32(above.x), index), shareFloat(above.y, index));
}

/// The mass of a bin and of all before it.
fn massThrough(bin: u32, index: u32) -> f32 {
  prefixes[index] = vec2f(0.0, massOf(index));
  accumulate(index);
  return shareFloat(prefixes[bin].y, index);
}

/// The last bin that is not empty.
fn lastBin(index: u32) -> u32 {
  if (index == 0u) {
    atomicStore(&lowest, NOWHERE);
  }
  workgroupBarrier();
  if (atomicLoad(&binCounts[index]) > 0u) {
    atomicMin(&lowest, WORKGROUP - 1u - index);
  }
  let found = shareOf(&lowest, index);
  return select(WORKGROUP - 1u - found, 0u, found == NOWHERE);
}

/// Sorts the logits of a bin, which are not more than lanes, and leaves the sums of their weights in `prefixes`.
fn sortBin(base: u32, rounds: u32, peak: f32, bin: Bin, index: u32) {
  if (index == 0u) {
    atomicStore(&listed, 0u);
  }
  workgroupBarrier();
  for (var round = 0u; round < rounds; round += 4u) {
    let four = logitsAt(base, round, index);
    for (var k = 0u; k < 4u; k++) { // unroll
      let order = orderOf(four[k]);
      if (order != 0u && binOf(order, peak) == bin.index) {
        list[min(atomicAdd(&listed, 1u), WORKGROUP - 1u)] = order;
      }
    }
  }
  workgroupBarrier();
  if (index < bin.count) {
    let order = list[index];
    var above = 0u;
    var place = 0u;
    for (var j = 0u; j < bin.count; j++) {
      let other = list[j];
      above += u32(other > order);
      place += u32(other > order || (other == order && j < index));
    }
    sorted[place] = order;
    greater[place] = above;
  }
  workgroupBarrier();
  prefixes[index] = vec2f();
  if (index < bin.count) {
    prefixes[index] = vec2f(0.0, weightAt(sorted[index], peak));
  }
  accumulate(index);
}

/// The filter that ends at a place of the sorted bin.
fn endAt(place: u32, bin: Bin, index: u32) -> End {
  let threshold = share(sorted[place], index);
  let ties = share(place - greater[place] + 1u, index);
  return End(threshold, ties, place, bin.above + place + 1u, bin.massAbove + shareFloat(prefixes[place].y, index));
}

/// The place of the sorted bin at which a mass is reached, `last` at most.
fn placeOfMass(mass: f32, bin: Bin, last: u32, index: u32) -> u32 {
  if (index == 0u) {
    atomicStore(&lowest, last);
  }
  workgroupBarrier();
  if (index < last && bin.massAbove + prefixes[index].y >= mass) {
    atomicMin(&lowest, index);
  }
  return shareOf(&lowest, index);
}

/// Draws from the logits that filters keep, where they are not more than lanes, all ties included. They are gathered as
/// lanes come and sorted by index. Gives the index; NOWHERE if there are too many, or none.
fn drawFromFew(base: u32, rounds: u32, peak: f32, threshold: u32, ties: u32, part: f32, index: u32) -> u32 {
  if (index == 0u) {
    atomicStore(&listed, 0u);
  }
  workgroupBarrier();
  for (var round = 0u; round < rounds; round += 4u) {
    let four = logitsAt(base, round, index);
    for (var k = 0u; k < 4u; k++) { // unroll
      let order = orderOf(four[k]);
      if (order != 0u && order >= threshold) {
        let at = atomicAdd(&listed, 1u);
        if (at < WORKGROUP) {
          list[at] = (round + k) * WORKGROUP + index;
          greater[at] = order;
        }
      }
    }
  }
  let count = shareOf(&listed, index);
  if (count > WORKGROUP || count == 0u) {
    return NOWHERE;
  }
  if (index < count) {
    let i = list[index];
    let order = greater[index];
    var place = 0u;
    var tied = 0u;
    for (var j = 0u; j < count; j++) {
      let before = u32(list[j] < i);
      place += before;
      tied += before * u32(greater[j] == threshold);
    }
    sorted[place] = i;
    let weight = weightAt(order, peak);
    let isKept = weight >= args.minP && (order > threshold || tied < ties);
    prefixes[place] = vec2f(0.0, select(0.0, weight, isKept));
  } else {
    prefixes[index] = vec2f();
  }
  workgroupBarrier();
  let own = prefixes[index].y;
  if (index == 0u) {
    atomicStore(&lowest, NOWHERE);
    atomicStore(&listed, 0u);
  }
  accumulate(index);
  let bound = part * prefixes[WORKGROUP - 1u].y;
  if (own > 0.0) {
    // Where rounding leaves nobody above the bound, the last one is drawn.
    atomicMax(&listed, index);
    if (prefixes[index].y > bound) {
      atomicMin(&lowest, index);
    }
  }
  let first = shareOf(&lowest, index);
  let last = shareOf(&listed, index);
  return share(sorted[select(first, last, first == NOWHERE)], index);
}

/// A value that all lanes have then.
fn share(value: u32, index: u32) -> u32 {
  workgroupBarrier();
  if (index == 0u) {
    shared_ = value;
  }
  return workgroupUniformLoad(&shared_);
}

fn shareFloat(value: f32, index: u32) -> f32 {
  return bitcast<f32>(share(bitcast<u32>(value), index));
}

fn shareOf(value: ptr<workgroup, atomic<u32>>, index: u32) -> u32 {
  workgroupBarrier();
  if (index == 0u) {
    shared_ = atomicLoad(value);
  }
  return workgroupUniformLoad(&shared_);
}
