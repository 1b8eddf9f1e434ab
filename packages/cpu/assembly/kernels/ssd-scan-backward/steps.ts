/** The gradients of dt, A and dtBias of a chunk of one head. */
import { sigmoid, softplus } from '../../lib/activations';
import { SSD_PADDED } from '../ssd-scan/call';
import { SsdBackwardPart } from './call';

/**
 * What passes through the decay of each step from earlier steps of the chunk to it and later ones: with K = M ∘ ds uᵀ,
 * of which `product` is the part without C Bᵀ,
 *
 *     passing_t = Σ_(i ≥ t) Σ_(j < t) K_ij
 */
export function sumPassing(part: SsdBackwardPart, count: i32): void {
  memory.fill(part.passing, 0, SSD_PADDED << 3);
  for (let i = 1; i < count; i++) {
    const row = <usize>(i * SSD_PADDED) << 2;
    let sum: f64 = 0;
    let to = part.passing;
    for (let at = row; at < row + (<usize>i << 2); at += 4) {
      sum += <f64>load<f32>(part.gram + at) * <f64>load<f32>(part.product + at);
      to += 8;
      store<f64>(to, load<f64>(to) + sum);
    }
  }
}

/**
 * With r_i = ds_i · y_i of y from the state before the chunk, b_j = u_j · du_j of du from behind it, and `passed` what
 * goes from the state before the chunk to the state behind it, the gradient of (d A)_t is
 *
 *     passing_t + Σ_(i ≥ t) r_i + Σ_(j < t) b_j + passed
 *
 * `shared` holds the sums of dA and dDtBias, in float64.
 */
export function finishSteps(
  part: SsdBackwardPart, head: i32, start: i32, count: i32, passed: f64, shared: usize,
): void {
  const call = part.backward;
  const place = <usize>head << 2;
  const A = load<f32>(call.A + place);
  const bias: f32 = call.dtBias == 0 ? 0 : load<f32>(call.dtBias + place);
  const heads = <usize>call.heads << 2;
  // The sums over earlier steps are added first, in the order of time.
  let before: f64 = 0;
  for (let t = 0; t < count; t++) {
    const to = part.passing + (<usize>t << 3);
    store<f64>(to, load<f64>(to) + before);
    before += <f64>load<f32>(part.behind + (<usize>t << 2));
  }
  let later: f64 = 0;
  for (let t = count - 1; t >= 0; t--) {
    const at = <usize>t << 2;
    later += <f64>load<f32>(part.along + at);
    const cleared = part.resets != 0 && load<i32>(part.resets + (<usize>(start + t) << 2)) != 0;
    const decayed = cleared ? 0 : load<f64>(part.passing + (<usize>t << 3)) + later + passed;
    const dd = <f64>A * decayed + <f64>load<f32>(part.entered + at);
    const raw = load<f32>(part.dt + <usize>(start + t) * call.dtStride + place) + bias;
    const ddt = dd * slope(call.dtSoftplus != 0, raw, call.dtMin, call.dtMax);
    const row = <usize>part.row * <usize>call.length + <usize>(start + t);
    store<f32>(call.ddt + row * heads + place, <f32>ddt);
    store<f64>(shared, load<f64>(shared) + <f64>load<f32>(part.stepSizes + at) * decayed);
    store<f64>(shared, load<f64>(shared, 8) + ddt, 8);
  }
}

/** The derivative of the step size by dt: 0 where a limit holds it. */
function slope(softened: bool, raw: f32, least: f32, most: f32): f64 {
  const d = softened ? f32x4.extract_lane(softplus(f32x4.splat(raw)), 0) : raw;
  if (d < least || d > most) return 0;
  return softened ? <f64>f32x4.extract_lane(sigmoid(f32x4.splat(raw)), 0) : 1;
}
