/**
 * da = dy scale f'(a) b and db = dy scale f(a), element by element; where b is absent it counts as 1, and there is no
 * db. Reads each input once and writes each gradient once.
 */
import {
  geluSlope, geluTanhShare, geluTanhSlope, negativePower, normalBelow, sigmoid, sigmoidOf, sigmoidSlope, siluSlope,
  tanhOf,
} from '../lib/activations';
import { Constant, constant } from '../lib/constants';
import { exp } from '../lib/exp';
import { loadPart, storePart } from '../lib/lanes';
import { Activation } from './multiply';

/** Addresses are in bytes. */
@unmanaged
export class MultiplyBackwardCall {
  a: usize;
  /** 0 means that there is none. */
  b: usize;
  dy: usize;
  da: usize;
  /** 0 where b is absent. */
  db: usize;
  size: i32;
  activation: Activation;
  scale: f32;
  /** Values of a task, a multiple of four. */
  taskValues: i32;
}

export function multiplyBackward(call: MultiplyBackwardCall, task: i32): void {
  const first = task * call.taskValues;
  const count = min(call.taskValues, call.size - first);
  const offset = <usize>first << 2;
  switch (call.activation) {
    case Activation.SILU:
      siluGradients(call, offset, count);
      break;
    case Activation.GELU:
      geluGradients(call, offset, count);
      break;
    case Activation.GELU_TANH:
      geluTanhGradients(call, offset, count);
      break;
    case Activation.RELU2:
      relu2Gradients(call, offset, count);
      break;
    case Activation.EXP:
      expGradients(call, offset, count);
      break;
    case Activation.SIGMOID:
      sigmoidGradients(call, offset, count);
      break;
    case Activation.TANH:
      tanhGradients(call, offset, count);
      break;
    case Activation.ELU_PLUS_ONE:
      eluPlusOneGradients(call, offset, count);
      break;
    case Activation.RECIPROCAL:
      reciprocalGradients(call, offset, count);
      break;
    default:
      plainGradients(call, offset, count);
  }
}

// Functions of their own, since the compiler makes one of branches that differ in a constant alone.

function siluGradients(call: MultiplyBackwardCall, offset: usize, count: i32): void {
  gradients(Activation.SILU, call, offset, count);
}

function geluGradients(call: MultiplyBackwardCall, offset: usize, count: i32): void {
  gradients(Activation.GELU, call, offset, count);
}

function geluTanhGradients(call: MultiplyBackwardCall, offset: usize, count: i32): void {
  gradients(Activation.GELU_TANH, call, offset, count);
}

function relu2Gradients(call: MultiplyBackwardCall, offset: usize, count: i32): void {
  gradients(Activation.RELU2, call, offset, count);
}

function expGradients(call: MultiplyBackwardCall, offset: usize, count: i32): void {
  gradients(Activation.EXP, call, offset, count);
}

function sigmoidGradients(call: MultiplyBackwardCall, offset: usize, count: i32): void {
  gradients(Activation.SIGMOID, call, offset, count);
}

function tanhGradients(call: MultiplyBackwardCall, offset: usize, count: i32): void {
  gradients(Activation.TANH, call, offset, count);
}

function eluPlusOneGradients(call: MultiplyBackwardCall, offset: usize, count: i32): void {
  gradients(Activation.ELU_PLUS_ONE, call, offset, count);
}

function reciprocalGradients(call: MultiplyBackwardCall, offset: usize, count: i32): void {
  gradients(Activation.RECIPROCAL, call, offset, count);
}

function plainGradients(call: MultiplyBackwardCall, offset: usize, count: i32): void {
  gradients(Activation.NONE, call, offset, count);
}

/**
 * The activation is known where this is inlined, so each has a loop of its own. What f and its slope share is computed
 * once.
 * @inline
 */
function gradients(activation: Activation, call: MultiplyBackwardCall, offset: usize, count: i32): void {
  const scale = f32x4.splat(call.scale);
  const b = call.b;
  for (let index = 0; index < count; index += 4) {
    const rest = count - index;
    const at = offset + (<usize>index << 2);
    const x = loadPart(call.a + at, rest);
    const scaled = f32x4.mul(loadPart(call.dy + at, rest), scale);
    const shared = sharedBy(activation, x);
    let da = f32x4.mul(scaled, slope(activation, x, shared));
    if (b != 0) {
      da = f32x4.mul(da, loadPart(b + at, rest));
      storePart(call.db + at, f32x4.mul(scaled, value(activation, x, shared)), rest);
    }
    storePart(call.da + at, da, rest);
  }
}

/** What f(x) and f'(x) are made of. @inline */
function sharedBy(activation: Activation, x: v128): v128 {
  if (activation == Activation.SILU) return sigmoid(x);
  if (activation == Activation.GELU) return normalBelow(x);
  if (activation == Activation.GELU_TANH) return geluTanhShare(x);
  // pmax with x first keeps a NaN.
  if (activation == Activation.RELU2) return f32x4.pmax(x, f32x4.splat(0));
  if (activation == Activation.EXP) return exp(x);
  if (activation == Activation.SIGMOID) return negativePower(x);
  if (activation == Activation.TANH) return negativePower(f32x4.add(x, x));
  if (activation == Activation.ELU_PLUS_ONE) return exp(x);
  if (activation == Activation.RECIPROCAL) return f32x4.div(constant(Constant.ONE), x);
  return x;
}

/** f(x). @inline */
function value(activation: Activation, x: v128, shared: v128): v128 {
  if (activation == Activation.RELU2) return f32x4.mul(shared, shared);
  if (activation == Activation.EXP || activation == Activation.NONE) return shared;
  if (activation == Activation.RECIPROCAL) return shared;
  if (activation == Activation.ELU_PLUS_ONE) return chosen(x, f32x4.add(x, constant(Constant.ONE)), shared);
  if (activation == Activation.SIGMOID) return sigmoidOf(x, shared);
  if (activation == Activation.TANH) return tanhOf(x, shared);
  return f32x4.mul(x, shared);
}

/** f'(x). @inline */
function slope(activation: Activation, x: v128, shared: v128): v128 {
  if (activation == Activation.SILU) return siluSlope(x, shared);
  if (activation == Activation.GELU) return geluSlope(x, shared);
  if (activation == Activation.GELU_TANH) return geluTanhSlope(x, shared);
  if (activation == Activation.RELU2) return f32x4.mul(constant(Constant.TWO), shared);
  if (activation == Activation.EXP) return shared;
  if (activation == Activation.SIGMOID) return sigmoidSlope(shared);
  // tanh(x) is 2 sigmoid(2 x) - 1.
  if (activation == Activation.TANH) return f32x4.mul(f32x4.splat(4), sigmoidSlope(shared));
  if (activation == Activation.RECIPROCAL) return f32x4.neg(f32x4.mul(shared, shared));
  if (activation == Activation.ELU_PLUS_ONE) return chosen(x, constant(Constant.ONE), shared);
  return constant(Constant.ONE);
}

/** `above` where x is above 0, and `below` elsewhere. @inline */
function chosen(x: v128, above: v128, below: v128): v128 {
  return v128.bitselect(above, below, f32x4.gt(x, f32x4.splat(0)));
}
