/**
 * Passes 1 and 3 of the selective scan, which read and write rows of a tile in order.
 *
 * The usual call takes eight channels as two neighbouring vectors, alike to the last instruction, with no branch or
 * store between them: V8's revectorisation makes one of them.
 */
import { silu, softplus } from '../../lib/activations';
import { loadPart, storePart } from '../../lib/lanes';
import { madd } from '../../lib/madd';
import { Discretization, ScanPart } from './call';

/** Pass 1: d = softplus(delta + deltaBias) and the inputs d u of `count` steps; zoh takes u alone as its inputs. */
export function prepare(part: ScanPart, start: i32, count: i32): void {
  const call = part.call;
  const channels = part.channels;
  const tileSteps = call.tileSteps;
  const rowStride = call.rowStride;
  const deltaSoftplus = call.deltaSoftplus != 0;
  const inputsAreU = call.discretization == Discretization.ZOH;
  const bias = part.deltaBias;
  const stepSizes = part.stepSizes;
  const inputs = part.inputs;
  const usual = deltaSoftplus && bias != 0 && !inputsAreU;
  let u = part.u + <usize>start * rowStride;
  let delta = part.delta + <usize>start * rowStride;
  for (let t = 0; t < count; t++) {
    let c = 0;
    if (usual) {
      for (; c + 8 <= channels; c += 8) {
        const offset = <usize>c << 2;
        const place = inBlocks(c, t, tileSteps);
        const low = softplus(f32x4.add(v128.load(delta + offset), v128.load(bias + offset)));
        const high = softplus(f32x4.add(v128.load(delta + offset, 16), v128.load(bias + offset, 16)));
        const lowInput = f32x4.mul(low, v128.load(u + offset));
        const highInput = f32x4.mul(high, v128.load(u + offset, 16));
        v128.store(stepSizes + place, low);
        v128.store(stepSizes + place, high, 16);
        v128.store(inputs + place, lowInput);
        v128.store(inputs + place, highInput, 16);
      }
    }
    for (; c < channels; c += 4) {
      const rest = channels - c;
      const offset = <usize>c << 2;
      let d = loadPart(delta + offset, rest);
      if (bias != 0) d = f32x4.add(d, loadPart(bias + offset, rest));
      if (deltaSoftplus) d = softplus(d);
      const input = loadPart(u + offset, rest);
      const place = inBlocks(c, t, tileSteps);
      v128.store(stepSizes + place, d);
      v128.store(inputs + place, inputsAreU ? input : f32x4.mul(d, input));
    }
    u += rowStride;
    delta += rowStride;
  }
}

/** Pass 3: y = (y + D u) silu(z) of `count` steps; y is the address of the first channel at the call's first step. */
export function finish(part: ScanPart, y: usize, start: i32, count: i32): void {
  const call = part.call;
  const channels = part.channels;
  const tileSteps = call.tileSteps;
  const rowStride = call.rowStride;
  const zStride = call.zStride;
  const D = part.D;
  const results = part.results;
  const usual = D != 0 && part.z != 0;
  let u = part.u + <usize>start * rowStride;
  y += <usize>start * rowStride;
  let z = part.z == 0 ? <usize>0 : part.z + <usize>start * zStride;
  for (let t = 0; t < count; t++) {
    let c = 0;
    if (usual) {
      for (; c + 8 <= channels; c += 8) {
        const offset = <usize>c << 2;
        const place = inBlocks(c, t, tileSteps);
        const low = madd(v128.load(D + offset), v128.load(u + offset), v128.load(results + place));
        const high = madd(v128.load(D + offset, 16), v128.load(u + offset, 16), v128.load(results + place, 16));
        const lowGated = f32x4.mul(low, silu(v128.load(z + offset)));
        const highGated = f32x4.mul(high, silu(v128.load(z + offset, 16)));
        v128.store(y + offset, lowGated);
        v128.store(y + offset, highGated, 16);
      }
    }
    for (; c < channels; c += 4) {
      const rest = channels - c;
      const offset = <usize>c << 2;
      let value = v128.load(results + inBlocks(c, t, tileSteps));
      if (D != 0) value = madd(loadPart(D + offset, rest), loadPart(u + offset, rest), value);
      if (z != 0) value = f32x4.mul(value, silu(loadPart(z + offset, rest)));
      storePart(y + offset, value, rest);
    }
    u += rowStride;
    y += rowStride;
    if (z != 0) z += zStride;
  }
}

/** The place of channels c … c + 3 at the tile's step t in blocks `[tileSteps, 8]`. @inline */
function inBlocks(c: i32, t: i32, tileSteps: i32): usize {
  return ((<usize>(c >> 3) * <usize>tileSteps + <usize>t) << 5) + ((<usize>c & 4) << 2);
}
