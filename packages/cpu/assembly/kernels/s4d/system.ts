/**
 * The system of S4D as the scans read it: discretised, in float32, for four channels a vector. Each state of a block of
 * four channels has a record of vectors; states are filled up to an even number, and channels to whole blocks, with
 * records of zeros.
 */
import { S4D_DISCRETE, discretize, Place } from './discretize';
import { Flag } from '../../program/call';

/** Places of vectors in a record, in bytes. C is times f, the number of states that each one stands for. */
export const enum Field {
  DECAY_RE = 0,
  DECAY_IM = 16,
  INPUT_RE = 32,
  INPUT_IM = 48,
  C_RE = 64,
  C_IM = 80,
}
/** Bytes of a record. */
export const S4D_RECORD: usize = 96; // host

/** Discretises the system. Address 0 means that B is absent. */
@unmanaged
export class S4dSystemCall {
  dt: usize;
  A: usize;
  B: usize;
  C: usize;
  /** Records `[blocks, states]`. */
  system: usize;
  dim: i32;
  state: i32;
  /** States of a block: `state`, or one more. */
  records: i32;
  complex: Flag;
  bilinear: Flag;
  /** Scratch of the first thread; the others' follow, `scratchStride` apart. */
  scratch: usize;
  scratchStride: usize;
}

/** A task is a block. */
export function s4dSystem(call: S4dSystemCall, task: i32, thread: i32): void {
  const discrete = call.scratch + <usize>thread * call.scratchStride;
  const block = call.system + <usize>(task * call.records) * S4D_RECORD;
  const plane = <usize>(call.dim * call.state) << 2;
  const complex = call.complex != 0;
  const factor: f64 = complex ? 2 : 1;
  memory.fill(block, 0, <usize>call.records * S4D_RECORD);
  for (let lane = 0; lane < min(4, call.dim - task * 4); lane++) {
    const channel = task * 4 + lane;
    const dt = <f64>load<f32>(call.dt + (<usize>channel << 2));
    for (let n = 0; n < call.state; n++) {
      const at = <usize>(channel * call.state + n) << 2;
      const to = block + <usize>n * S4D_RECORD + (<usize>lane << 2);
      discretize(call.bilinear != 0, dt, real(call.A + at), imaginary(call.A + at, plane, complex), discrete);
      const scaleRe = load<f64>(discrete + Place.INPUT_SCALE);
      const scaleIm = load<f64>(discrete + Place.INPUT_SCALE, 8);
      const bRe = call.B == 0 ? <f64>1 : real(call.B + at);
      const bIm = call.B == 0 ? <f64>0 : imaginary(call.B + at, plane, complex);
      store<f32>(to + Field.DECAY_RE, <f32>load<f64>(discrete + Place.DECAY));
      store<f32>(to + Field.DECAY_IM, <f32>load<f64>(discrete + Place.DECAY, 8));
      store<f32>(to + Field.INPUT_RE, <f32>(scaleRe * bRe - scaleIm * bIm));
      store<f32>(to + Field.INPUT_IM, <f32>(scaleRe * bIm + scaleIm * bRe));
      store<f32>(to + Field.C_RE, <f32>(factor * real(call.C + at)));
      store<f32>(to + Field.C_IM, <f32>(factor * imaginary(call.C + at, plane, complex)));
    }
  }
}

/** @inline */
function real(address: usize): f64 {
  return <f64>load<f32>(address);
}

/** @inline */
function imaginary(address: usize, plane: usize, complex: bool): f64 {
  return complex ? <f64>load<f32>(address + plane) : 0;
}

/**
 * The gradients of the system from those of its records, which are sums over rows and steps: with ' for the conjugate,
 *
 *     dA = (dt E)' dAbar + (B G)' dBbar        dB = F' dBbar       dC = f dC of the record
 *     ddt = Re Σ_n ((A E)' dAbar + (B E)' dBbar)
 */
@unmanaged
export class S4dSystemBackwardCall extends S4dSystemCall {
  /** Gradients `[blocks, records]` of Abar, Bbar and C / f, in the places of their values. */
  gradients: usize;
  ddt: usize;
  dA: usize;
  /** 0 where B is absent. */
  dB: usize;
  dC: usize;
}

/** A task is a block. */
export function s4dSystemBackward(call: S4dSystemBackwardCall, task: i32, thread: i32): void {
  const discrete = call.scratch + <usize>thread * call.scratchStride;
  const block = call.gradients + <usize>(task * call.records) * S4D_RECORD;
  const plane = <usize>(call.dim * call.state) << 2;
  const complex = call.complex != 0;
  const factor: f64 = complex ? 2 : 1;
  for (let lane = 0; lane < min(4, call.dim - task * 4); lane++) {
    const channel = task * 4 + lane;
    const dt = <f64>load<f32>(call.dt + (<usize>channel << 2));
    let ddt: f64 = 0;
    for (let n = 0; n < call.state; n++) {
      const at = <usize>(channel * call.state + n) << 2;
      const from = block + <usize>n * S4D_RECORD + (<usize>lane << 2);
      const aRe = real(call.A + at);
      const aIm = imaginary(call.A + at, plane, complex);
      const bRe = call.B == 0 ? <f64>1 : real(call.B + at);
      const bIm = call.B == 0 ? <f64>0 : imaginary(call.B + at, plane, complex);
      discretize(call.bilinear != 0, dt, aRe, aIm, discrete);
      const scaleRe = load<f64>(discrete + Place.INPUT_SCALE);
      const scaleIm = load<f64>(discrete + Place.INPUT_SCALE, 8);
      const slopeRe = load<f64>(discrete + Place.SLOPE);
      const slopeIm = load<f64>(discrete + Place.SLOPE, 8);
      const byARe = load<f64>(discrete + Place.INPUT_SCALE_BY_A);
      const byAIm = load<f64>(discrete + Place.INPUT_SCALE_BY_A, 8);
      const decayRe = real(from + Field.DECAY_RE);
      const decayIm = real(from + Field.DECAY_IM);
      const inputRe = real(from + Field.INPUT_RE);
      const inputIm = real(from + Field.INPUT_IM);
      // G' times B' dBbar: the factor B is common to both of its terms.
      const withBRe = bRe * inputRe + bIm * inputIm;
      const withBIm = bRe * inputIm - bIm * inputRe;
      const withARe = aRe * decayRe + aIm * decayIm;
      const withAIm = aRe * decayIm - aIm * decayRe;
      ddt += slopeRe * (withARe + withBRe) + slopeIm * (withAIm + withBIm);
      const dARe = dt * (slopeRe * decayRe + slopeIm * decayIm) + byARe * withBRe + byAIm * withBIm;
      const dAIm = dt * (slopeRe * decayIm - slopeIm * decayRe) + byARe * withBIm - byAIm * withBRe;
      put(call.dA + at, plane, complex, dARe, dAIm);
      put(call.dC + at, plane, complex, factor * real(from + Field.C_RE), factor * real(from + Field.C_IM));
      if (call.dB == 0) continue;
      put(
        call.dB + at, plane, complex,
        scaleRe * inputRe + scaleIm * inputIm, scaleRe * inputIm - scaleIm * inputRe,
      );
    }
    store<f32>(call.ddt + (<usize>channel << 2), <f32>ddt);
  }
}

/** @inline */
function put(to: usize, plane: usize, complex: bool, re: f64, im: f64): void {
  store<f32>(to, <f32>re);
  if (complex) store<f32>(to + plane, <f32>im);
}
