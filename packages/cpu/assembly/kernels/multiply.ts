/**
 * y = scale · f(a) · b, or scale · f(a), for rows of channels that lie apart by strides: two halves of one projection
 * multiply without a copy. Reads each input once and writes once; y may be a or b itself.
 */
import { eluPlusOne, gelu, geluTanh, relu2, sigmoid, silu, tanh } from '../lib/activations';
import { Constant, constant } from '../lib/constants';
import { exp } from '../lib/exp';
import { loadPart, storePart } from '../lib/lanes';

/** Addresses and strides are in bytes. */
@unmanaged
export class MultiplyCall {
  a: usize;
  aStride: usize;
  /** 0 means that there is none. */
  b: usize;
  bStride: usize;
  y: usize;
  yStride: usize;
  rows: i32;
  channels: i32;
  activation: Activation;
  scale: f32;
  /** Channels of a task. */
  taskChannels: i32;
}

/** The function f. */
export const enum Activation {
  NONE,
  SILU,
  GELU,
  GELU_TANH,
  RELU2,
  EXP,
  SIGMOID,
  TANH,
  ELU_PLUS_ONE,
  RECIPROCAL,
}

/** A task is a range of channels of one row. */
export function multiply(call: MultiplyCall, task: i32): void {
  const ranges = (call.channels + call.taskChannels - 1) / call.taskChannels;
  const row = <usize>(task / ranges);
  const first = (task % ranges) * call.taskChannels;
  const offset = <usize>first << 2;
  const a = call.a + row * call.aStride + offset;
  const b = call.b == 0 ? <usize>0 : call.b + row * call.bStride + offset;
  const y = call.y + row * call.yStride + offset;
  const count = min(call.taskChannels, call.channels - first);
  switch (call.activation) {
    case Activation.SILU:
      siluProducts(a, b, y, count, call.scale);
      break;
    case Activation.GELU:
      geluProducts(a, b, y, count, call.scale);
      break;
    case Activation.GELU_TANH:
      geluTanhProducts(a, b, y, count, call.scale);
      break;
    case Activation.RELU2:
      relu2Products(a, b, y, count, call.scale);
      break;
    case Activation.EXP:
      expProducts(a, b, y, count, call.scale);
      break;
    case Activation.SIGMOID:
      sigmoidProducts(a, b, y, count, call.scale);
      break;
    case Activation.TANH:
      tanhProducts(a, b, y, count, call.scale);
      break;
    case Activation.ELU_PLUS_ONE:
      eluPlusOneProducts(a, b, y, count, call.scale);
      break;
    case Activation.RECIPROCAL:
      reciprocalProducts(a, b, y, count, call.scale);
      break;
    default:
      plainProducts(a, b, y, count, call.scale);
  }
}

// Functions of their own, since the compiler makes one of branches that differ in a constant alone.

function siluProducts(a: usize, b: usize, y: usize, count: i32, scale: f32): void {
  products(Activation.SILU, a, b, y, count, scale);
}

function geluProducts(a: usize, b: usize, y: usize, count: i32, scale: f32): void {
  products(Activation.GELU, a, b, y, count, scale);
}

function geluTanhProducts(a: usize, b: usize, y: usize, count: i32, scale: f32): void {
  products(Activation.GELU_TANH, a, b, y, count, scale);
}

function relu2Products(a: usize, b: usize, y: usize, count: i32, scale: f32): void {
  products(Activation.RELU2, a, b, y, count, scale);
}

function expProducts(a: usize, b: usize, y: usize, count: i32, scale: f32): void {
  products(Activation.EXP, a, b, y, count, scale);
}

function sigmoidProducts(a: usize, b: usize, y: usize, count: i32, scale: f32): void {
  products(Activation.SIGMOID, a, b, y, count, scale);
}

function tanhProducts(a: usize, b: usize, y: usize, count: i32, scale: f32): void {
  products(Activation.TANH, a, b, y, count, scale);
}

function eluPlusOneProducts(a: usize, b: usize, y: usize, count: i32, scale: f32): void {
  products(Activation.ELU_PLUS_ONE, a, b, y, count, scale);
}

function reciprocalProducts(a: usize, b: usize, y: usize, count: i32, scale: f32): void {
  products(Activation.RECIPROCAL, a, b, y, count, scale);
}

function plainProducts(a: usize, b: usize, y: usize, count: i32, scale: f32): void {
  products(Activation.NONE, a, b, y, count, scale);
}

/** The activation is known where this is inlined, so each has a loop of its own. @inline */
function products(activation: Activation, a: usize, b: usize, y: usize, count: i32, scale: f32): void {
  const scales = f32x4.splat(scale);
  let index = 0;
  if (b != 0) {
    for (; index + 8 <= count; index += 8) {
      const low = f32x4.mul(activated(activation, v128.load(a)), scales);
      const high = f32x4.mul(activated(activation, v128.load(a, 16)), scales);
      v128.store(y, f32x4.mul(low, v128.load(b)));
      v128.store(y, f32x4.mul(high, v128.load(b, 16)), 16);
      a += 32;
      b += 32;
      y += 32;
    }
  } else {
    for (; index + 8 <= count; index += 8) {
      const low = f32x4.mul(activated(activation, v128.load(a)), scales);
      const high = f32x4.mul(activated(activation, v128.load(a, 16)), scales);
      v128.store(y, low);
      v128.store(y, high, 16);
      a += 32;
      y += 32;
    }
  }
  for (; index < count; index += 4) {
    const rest = count - index;
    let value = f32x4.mul(activated(activation, loadPart(a, rest)), scales);
    if (b != 0) {
      value = f32x4.mul(value, loadPart(b, rest));
      b += 16;
    }
    storePart(y, value, rest);
    a += 16;
    y += 16;
  }
}

/** f(x). @inline */
export function activated(activation: Activation, x: v128): v128 {
  if (activation == Activation.SILU) return silu(x);
  if (activation == Activation.GELU) return gelu(x);
  if (activation == Activation.GELU_TANH) return geluTanh(x);
  if (activation == Activation.RELU2) return relu2(x);
  if (activation == Activation.EXP) return exp(x);
  if (activation == Activation.SIGMOID) return sigmoid(x);
  if (activation == Activation.TANH) return tanh(x);
  if (activation == Activation.ELU_PLUS_ONE) return eluPlusOne(x);
  if (activation == Activation.RECIPROCAL) return f32x4.div(constant(Constant.ONE), x);
  return x;
}
