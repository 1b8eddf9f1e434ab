/** The call of a selective scan's backward, and the part of it that a task computes. */
import { locate, ScanInputs, ScanPart, TILE_STEPS } from '../selective-scan/call';

/**
 * Steps of a chunk: a tile of the forward scan, which may keep the states before it. States are computed again from
 * there.
 */
export const SCAN_CHUNK = TILE_STEPS;

/**
 * Channels whose dB and dC are summed together, in their order. Tasks are made of whole ranges of so many, so that any
 * number of threads gives the same bits.
 */
export const SUMMED_CHANNELS = 128; // host

/**
 * The backward of a selective scan. `tileSteps` is at most SCAN_CHUNK, and `taskChannels` are a multiple of
 * SUMMED_CHANNELS, or all of a group. Gradients of what rows or ranges of channels share are partial sums, one behind
 * the other, which a later command adds up: dA, dD, dDeltaBias, and dB and dC where they are constant, of each batch
 * row; other dB and dC of each SUMMED_CHANNELS channels of a group.
 */
@unmanaged
export class ScanBackwardCall extends ScanInputs {
  batch: i32;
  /** `[batch, chunks, dim, state]`: the states before each chunk, as the forward scan kept them; 0 where it did not. */
  states: usize;
  dy: usize;
  dLastState: usize;
  du: usize;
  ddelta: usize;
  dA: usize;
  dB: usize;
  dC: usize;
  dD: usize;
  dz: usize;
  dDeltaBias: usize;
  dInitialState: usize;
}

/**
 * What a step of eight channels needs, in one record: eight pairs of vectors. The sums over states are zero at first:
 * SCALED_DECAY = Σ g h' ∂Abar/∂d log2 e, with h' the state before the step, and ENTERED = Σ g B for Euler's steps or
 * else Σ g B Bbar/B. ds is the gradient of what silu(z) gates.
 */
export const enum Field {
  STEP_SIZE = 0,
  /** d u for Euler's steps, or else u. */
  INPUT = 32,
  DS = 64,
  Y = 96,
  SCALED_DECAY = 128,
  ENTERED = 160,
  /** The slope of softplus. */
  SLOPE = 192,
  /** The sigmoid of z. */
  SIGMOID = 224,
}

/** Bytes of a record. */
export const RECORD: usize = 256; // host
/** Bytes of a step in the buffers that lie by pairs of states: B and C, their gradients, and what a pass keeps. */
export const SELECTIVE: usize = 16; // host
export const GRADIENTS: usize = 64; // host
export const KEPT: usize = 192; // host
/** Bytes of A, h, g and dA of a pair of states. */
export const PAIR: usize = 256; // host

/** As `ScanPart`, with the addresses of gradients and of the buffers of the way back. */
@unmanaged
export class BackwardPart extends ScanPart {
  backward: ScanBackwardCall;
  chunks: i32;

  /** Blocks `[chunks][blocks, state, 8]`: the states before each chunk. One chunk at a time where forward kept them. */
  starts: usize;
  /** Of them, those before the chunk at hand. */
  start: usize;
  /**
   * Blocks `[state, 8]`: the gradient of the state after the chunk, the gradients of A, and of B and C where they are
   * constant.
   */
  blockG: usize;
  blockDA: usize;
  blockDB: usize;
  blockDC: usize;
  /** Blocks `[8]`: the gradients of D and deltaBias. */
  blockDD: usize;
  blockDBias: usize;
  /** `[blocks][SCAN_CHUNK]` records. */
  records: usize;
  /** `[pairs of states][SCAN_CHUNK][B 2, C 2]`, zero where they are constant and for a state that does not exist. */
  selective: usize;
  /** The largest magnitudes of B and of C; NaN where one is NaN. */
  largestB: f32;
  largestC: f32;
  /** `[pairs of states][SCAN_CHUNK][dB 2, dC 2][4]`, sums over blocks of SUMMED_CHANNELS and over their halves. */
  gradients: usize;
  /** `[SCAN_CHUNK][12]` vectors. */
  kept: usize;
  /** Blocks `[2, 8]` of A, h, g and dA. */
  pair: usize;
  /** The largest step sizes of a chunk, of eight channels. */
  largest: usize;
}

export function locateBackward(part: BackwardPart, call: ScanBackwardCall, task: i32): void {
  locate(part, call, task);
  const chunks = (call.length + SCAN_CHUNK - 1) / SCAN_CHUNK;
  const parameter = (<usize>part.blocks * <usize>call.state) << 5;
  const channels = <usize>part.blocks << 5;
  const pairs = <usize>((call.state + 1) >> 1) * SCAN_CHUNK;
  part.backward = call;
  part.chunks = chunks;
  part.starts = part.end;
  part.start = part.starts;
  part.blockG = part.starts + (call.states == 0 ? <usize>chunks : 1) * parameter;
  part.blockDA = part.blockG + parameter;
  part.blockDB = part.blockDA + parameter;
  part.blockDC = part.blockDB + (call.constantB ? parameter : 0);
  part.blockDD = part.blockDC + (call.constantC ? parameter : 0);
  part.blockDBias = part.blockDD + channels;
  part.records = part.blockDBias + channels;
  part.selective = part.records + <usize>part.blocks * SCAN_CHUNK * RECORD;
  part.gradients = part.selective + pairs * SELECTIVE;
  part.kept = part.gradients + pairs * GRADIENTS;
  part.pair = part.kept + <usize>SCAN_CHUNK * KEPT;
  part.largest = part.pair + PAIR;
}
