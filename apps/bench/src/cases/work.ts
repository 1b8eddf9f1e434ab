/**
 * Counts the least work of a computation: floating-point operations, and bytes that must be read or written once. A
 * multiplication and an addition are one operation each.
 */
import type { BlockConfig, ModelConfig } from '@mamba/core';

export interface Work {
  readonly operations: number;
  readonly bytes: number;
}

/**
 * exp and log1p count a reduction of the range, a polynomial of degree 5 and the scale; a division is one operation.
 */
const TRANSCENDENTAL = 16;
/** x · 1 / (1 + exp(-x)) */
const SILU = TRANSCENDENTAL + 3;
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

/** A block over `tokens` rows of `batch` sequences in all: its weights once, its input, output and states. */
export function blockWork(
  config: BlockConfig,
  tokens: number,
  bytesPerValue: number,
  { batch = 1, bytesPerWeight = bytesPerValue }: { batch?: number; bytesPerWeight?: number } = {},
): Work {
  const { dModel, dInner, dState, dConv, dtRank } = config;
  const matrices = 2 * dInner * dModel + (dtRank + 2 * dState) * dInner + dInner * dtRank + dModel * dInner;
  const vectors = dInner * (dConv + 1) + dInner * (dState + 2);
  const state = batch * dInner * (dConv - 1 + dState);
  const scan = scanWork({ batch: 1, length: tokens, dim: dInner, state: dState }, 0).operations;
  return {
    operations: tokens * (2 * matrices + dInner * (2 * dConv + SILU)) + scan,
    bytes: matrices * bytesPerWeight + (vectors + 2 * state + 2 * tokens * dModel) * bytesPerValue,
  };
}

/**
 * A model over `tokens` tokens of which `heads` get logits. Everything but the rows of an untied embedding is read
 * once.
 */
export function modelWork(
  config: ModelConfig,
  tokens: number,
  heads: number,
  bytesPerValue: number,
  options: { batch?: number; bytesPerWeight?: number } = {},
): Work {
  const { layers, dModel, vocabSize } = config;
  const { bytesPerWeight = bytesPerValue } = options;
  const block = blockWork(config, tokens, bytesPerValue, options);
  return {
    // A norm takes about four operations a value, the residual one.
    operations: layers * (block.operations + 5 * tokens * dModel) + heads * 2 * vocabSize * dModel,
    bytes: Math.round(layers * block.bytes + (heads > 0 ? vocabSize * dModel * bytesPerWeight : 0)),
  };
}
