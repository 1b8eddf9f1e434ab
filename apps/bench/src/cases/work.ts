/**
 * Counts the least work of a computation: floating-point operations, and bytes that must be read or written once. A
 * multiplication and an addition are one operation each.
 */
export interface Work {
  readonly operations: number;
  readonly bytes: number;
}

/**
 * exp and log1p count a reduction of the range, a polynomial of degree 5 and the scale; a division is one operation.
 */
const TRANSCENDENTAL = 16;
/** x · 1 / (1 + exp(-x)) */
export const SILU = TRANSCENDENTAL + 3;
const SOFTPLUS = 2 * TRANSCENDENTAL + 2;

export interface ScanShape {
  readonly batch: number;
  readonly length: number;
  readonly dim: number;
  readonly state: number;
}

/** A selective scan as the block uses it: softplus with bias, D and gate. */
export function scanWork({ batch, length, dim, state }: ScanShape, bytesPerValue: number): Work {
  // A state step: delta A, exp, times h, times B, added; times C, added.
  const stateStep = 1 + TRANSCENDENTAL + 1 + 2 + 2;
  // A channel step: softplus, delta u, D u added, the gate.
  const channelStep = SOFTPLUS + 1 + 2 + SILU + 1;
  const values = batch * length * (4 * dim + 2 * state) + batch * dim * state + dim * (state + 2);
  return {
    operations: batch * length * dim * (state * stateStep + channelStep),
    bytes: values * bytesPerValue,
  };
}

export interface SsdShape {
  readonly batch: number;
  readonly length: number;
  readonly heads: number;
  readonly headDim: number;
  readonly state: number;
}

/** The operations of Mamba-2's scan as the block uses it, one step after the other: softplus with bias, and D. */
export function ssdOperations({ batch, length, heads, headDim, state }: SsdShape): number {
  // A state step: times the decay, x times B, added; times C, added.
  const stateStep = 3 + 2;
  // A channel step: d x, and D x added.
  const channelStep = 1 + 2;
  // A head's step: softplus, d A and its exponential.
  const headStep = SOFTPLUS + 1 + TRANSCENDENTAL;
  return batch * length * heads * (headDim * (state * stateStep + channelStep) + headStep);
}

/** A causal convolution with bias and SiLU: input and output once, weights and state. */
export function convWork(
  { batch, length, dim, width }: { batch: number; length: number; dim: number; width: number },
  bytesPerValue: number,
): Work {
  return {
    operations: batch * length * dim * (2 * width + SILU),
    bytes: (2 * batch * length * dim + dim * (width + 1) + batch * dim * (width - 1)) * bytesPerValue,
  };
}

export function linearWork(
  { rows, inputs, outputs }: { rows: number; inputs: number; outputs: number },
  bytesPerValue: number,
  bytesPerWeight = bytesPerValue,
): Work {
  return {
    operations: 2 * rows * inputs * outputs,
    bytes: rows * (inputs + outputs) * bytesPerValue + inputs * outputs * bytesPerWeight,
  };
}

/**
 * A step of training, given the forward pass of its model. The backward pass of a product takes two of its size, and
 * that of a scan or an activation takes no less than two of theirs. AdamW reads each parameter, its gradient and both
 * moments, writes all but the gradient, and takes some 16 operations for each.
 */
export function trainingWork(forward: Work, parameters: number, bytesPerValue: number): Work {
  return {
    operations: 3 * forward.operations + 16 * parameters,
    bytes: 3 * forward.bytes + 7 * parameters * bytesPerValue,
  };
}

/** Operations for each element of a small operation, and values read or written: a norm reads one tensor, a sum two. */
export const SMALL_WORK = {
  // The mean square; the scale and the weight.
  'rms-norm': { operations: 4, values: 2 },
  // The mean; the differences and their mean square; the scale, the weight and the bias.
  'layer-norm': { operations: 7, values: 2 },
  add: { operations: 1, values: 3 },
  // SiLU of the first factor.
  multiply: { operations: SILU + 1, values: 3 },
} as const;
export type SmallOperation = keyof typeof SMALL_WORK;

export function smallWork(
  name: SmallOperation,
  { rows, channels }: { readonly rows: number; readonly channels: number },
  bytesPerValue: number,
): Work {
  const { operations, values } = SMALL_WORK[name];
  const size = rows * channels;
  return { operations: size * operations, bytes: size * values * bytesPerValue };
}
