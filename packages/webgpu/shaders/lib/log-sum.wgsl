// The sum of the exponentials of a row of logits. Expects `logits: array<u32>`, float32 bits, since an implementation
// may assume that floats are not NaN; in `args` vocab and zero; WORKGROUP; and the library `reduce`.

const SPAN = 16u;

/// What a row's probabilities are made of. `others` is Σ exp(logit - peak) without one of the largest logits, so that
/// the probability of all others is not lost beside it.
struct RowSum {
  peak: f32,
  others: f32,
  nan: bool, // whether the row holds a NaN, and so has no probabilities
}

/// Every lane of the workgroup calls it. It reads the row twice.
fn sumRow(base: u32, index: u32) -> RowSum {
  let rounds = (args.vocab + WORKGROUP - 1u) / WORKGROUP;
  var largest = -3.4028234e38;
  var invalid = 0.0;
  for (var round = 0u; round < rounds; round++) {
    let i = round * WORKGROUP + index;
    if (i < args.vocab) {
      if ((logits[base + i] & 0x7fffffffu) > 0x7f800000u) {
        invalid = 1.0;
      } else {
        largest = max(largest, logit(base + i));
      }
    }
  }
  let peak = groupMax(largest, index);
  let nan = groupMax(invalid, index) != 0.0;
  var others = 0.0;
  var ties = 0.0;
  // The sum goes by spans, since a long sum of equal parts rounds the same way at every addition.
  for (var span = 0u; span < rounds; span += SPAN) {
    var part = 0.0;
    for (var k = 0u; k < SPAN; k++) {
      let i = (span + k) * WORKGROUP + index;
      if (i < args.vocab) {
        let below = logit(base + i) - peak;
        part += select(exp(below), 0.0, below == 0.0);
        ties += select(0.0, 1.0, below == 0.0);
      }
    }
    others += part;
  }
  // The others are summed apart, since a few of them would be lost beside the ties.
  return RowSum(peak, groupSum(others, index) + (groupSum(ties, index) - 1.0), nan);
}

fn logit(i: u32) -> f32 {
  return bitcast<f32>(logits[i]);
}

fn notANumber() -> f32 {
  return bitcast<f32>(0x7fc00000u | args.zero);
}
