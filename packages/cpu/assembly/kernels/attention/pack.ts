/**
 * Copies the rows of heads into the order in which tiles read them, in blocks of BLOCK rows, padded with zeros:
 *
 * - turned: `[BLOCK / height][headDim][height]`, the left operand of products over channels;
 * - by channels: `[channels / height][BLOCK][height]`, that of products over rows.
 *
 * A task is a block of a head of a batch row. Rows from `keysEnd` on are zeros as well, so that what lies behind a
 * cache reaches nothing.
 */
import { Flag } from '../../program/call';
import { tileRows } from '../linear-tile';
import { BLOCK, keysEnd, MaskCall } from './call';

@unmanaged
export class AttentionPackCall extends MaskCall {
  from: usize;
  to: usize;
  /** Whether the rows are queries, of all heads that share a head of keys, and not keys. */
  ofQueries: Flag;
  turned: Flag;
  factor: f32;
  wide: Flag;
}

/** Channels of a head in whole tiles. */
export function paddedChannels(headDim: i32, height: i32): i32 {
  return (headDim + height - 1) / height * height;
}

/** Floats of a block. */
export function blockFloats(headDim: i32, turned: bool, height: i32): i32 {
  return BLOCK * (turned ? headDim : paddedChannels(headDim, height));
}

export function packHeads(call: AttentionPackCall, task: i32): void {
  const height = tileRows(call.wide);
  const group = call.ofQueries ? call.heads / call.kvHeads : 1;
  const length = call.ofQueries ? call.queries : call.keys;
  const blocks = (length * group + BLOCK - 1) / BLOCK;
  const pair = task / blocks;
  const b = call.firstRow + pair / call.kvHeads;
  const kvHead = pair % call.kvHeads;
  const first = (task - pair * blocks) * BLOCK;
  const end = call.ofQueries ? length * group : keysEnd(call, b);
  const headDim = call.headDim;
  const turned = call.turned != 0;
  const floats = blockFloats(headDim, turned, height);
  const to = call.to + ((<usize>task * <usize>floats) << 2);
  if (first + BLOCK > end || !turned) memory.fill(to, 0, <usize>floats << 2);
  for (let index = 0; index < min(BLOCK, end - first); index++) {
    const row = first + index;
    const token = <usize>b * <usize>length + <usize>(row / group);
    const head = <usize>kvHead * <usize>group + <usize>(row % group);
    const from = call.from + ((token * (<usize>call.kvHeads * <usize>group) + head) * <usize>headDim << 2);
    if (turned) packTurned(from, headDim, call.factor, to, index, height);
    else packChannels(from, headDim, call.factor, to, index, height);
  }
}

function packTurned(from: usize, headDim: i32, factor: f32, to: usize, index: i32, height: i32): void {
  const tile = index / height;
  const stride = <usize>height << 2;
  to += (<usize>tile * <usize>headDim) * stride + (<usize>(index - tile * height) << 2);
  for (let c = 0; c < headDim; c++) {
    store<f32>(to, load<f32>(from) * factor);
    from += 4;
    to += stride;
  }
}

function packChannels(from: usize, headDim: i32, factor: f32, to: usize, index: i32, height: i32): void {
  const stride = <usize>height << 2;
  to += <usize>index * stride;
  for (let c = 0; c < headDim; c += height) {
    const count = min(height, headDim - c);
    for (let k = 0; k < count; k++) store<f32>(to + (<usize>k << 2), load<f32>(from + (<usize>k << 2)) * factor);
    from += stride;
    to += <usize>BLOCK * stride;
  }
}
