/** The feed-forward block on the device; core's blocks/mlp defines what it computes. */
import type { Activation } from '@mamba/core';
import { type DeviceTensor, isGated, type MlpConfig, type MlpWeights } from '@mamba/core/driver';
import { bindingRefusal } from '../../gpu/limits.ts';
import { ALIGNMENT, type BufferRange } from '../../gpu/shader.ts';
import { joinedStorage } from '../../joined.ts';
import type { KernelContext } from '../../operations/kernel-context.ts';
import { project, projectionRefusal, VECTOR_ROWS } from '../../operations/linear.ts';
import { projectWithNorm } from '../../operations/linear-normed.ts';
import { activate } from '../../operations/multiply.ts';
import { rangeOf, type Storage } from '../../storage.ts';
import type { BufferSize, BufferSizes, Buffers } from '../buffers.ts';
import type { FusedKind, FusedStep, RmsNorm } from '../fused-block.ts';
import { normedInput, normsApart } from '../normed-input.ts';

/**
 * `gate` holds the values that are activated, `up` those that they multiply where the block is gated, and `hidden` the
 * products.
 */
type Name = 'normed' | 'gate' | 'up' | 'hidden';

interface MlpBlock {
  readonly kernels: KernelContext;
  readonly config: MlpConfig;
  readonly dModel: number;
  readonly norm: RmsNorm | undefined;
  readonly weights: MlpWeights<DeviceTensor<Storage>>;
  /**
   * The matrices of gate and up as one, which a single row is multiplied by: without biases, and where each half of the
   * result can be bound by itself.
   */
  readonly joined: Storage | undefined;
}

export const mlp: FusedKind<'mlp'> = {
  refusal({ gpu }, { dHidden }, batch, length) {
    const rows = batch * length;
    return bindingRefusal(gpu, 'the hidden layer', rows * dHidden) ?? projectionRefusal(gpu, rows, dHidden);
  },
  bind(kernels, _, { config, weights, dModel, norm }) {
    const bound = weights as MlpWeights<DeviceTensor<Storage>>;
    const block: MlpBlock = { kernels, config, dModel, norm, weights: bound, joined: joinedOf(config, bound) };
    const buffers = (rows: number): BufferSizes<Name> => buffersOf(block, rows);
    const run = (call: FusedStep, memory: Buffers): boolean => runMlp(block, call, memory as Buffers<Name>);
    // Each token is computed by itself, so a step is a prefill of one token.
    return {
      slotsInPlace: [],
      prefillBuffers: buffers,
      stepBuffers: buffers,
      prefill: run,
      step: run,
      repack() {},
      dispose() {},
    };
  },
};

function joinedOf(
  { dHidden }: MlpConfig,
  { gate, gateBias, up, upBias }: MlpWeights<DeviceTensor<Storage>>,
): Storage | undefined {
  const apart = gate === undefined || gateBias !== undefined || upBias !== undefined || (4 * dHidden) % ALIGNMENT !== 0;
  return apart ? undefined : joinedStorage([gate.storage, up.storage]);
}

function buffersOf({ config, dModel, norm }: MlpBlock, rows: number): BufferSizes<Name> {
  const floats = (elements: number, label: string): BufferSize => ({ bytes: 4 * rows * elements, label });
  const { dHidden } = config;
  return {
    normed: floats(normsApart(norm, rows) ? dModel : 0, 'normed'),
    // A single row may have the values of up behind those of gate.
    gate: floats(rows === 1 ? 2 * dHidden : dHidden, 'gate'),
    up: floats(isGated(config) ? dHidden : 0, 'up'),
    hidden: floats(dHidden, 'hidden'),
  };
}

/**
 * Runs gate and up, activation and product, and down: three dispatches, four where gate and up are apart, two where
 * there is no gate and the product of few rows applies the activation, and one for the norm where there are many rows,
 * unless the block before has written them. Returns whether `call.next` is written.
 */
function runMlp(block: MlpBlock, call: FusedStep, buffers: Buffers<Name>): boolean {
  const { kernels, config, dModel, weights, joined } = block;
  const { dHidden, activation } = config;
  const rows = call.batch * call.length;
  const { x, norm } = normedInput(kernels, call.norm ?? block.norm, {
    ...{ x: call.x, rows, dModel, given: call.normed, normed: buffers.normed },
  });
  const inner = (weight: Storage, bias: BufferRange | undefined, y: BufferRange, applied?: Activation): void =>
    project(kernels, weight, { x, rows, inputs: dModel, outputs: dHidden, bias, norm, y, activation: applied });
  const range = (tensor: DeviceTensor<Storage> | undefined): BufferRange | undefined => tensor && rangeOf(tensor);
  const { gate, up, down } = weights;
  let [lower, upper] = [buffers.gate, buffers.up];
  const activated = gate === undefined && rows <= VECTOR_ROWS;
  if (activated) {
    inner(up.storage, range(weights.upBias), buffers.hidden, activation);
  } else if (gate === undefined) {
    inner(up.storage, range(weights.upBias), buffers.gate);
  } else if (joined !== undefined && rows === 1) {
    project(kernels, joined, { x, rows, inputs: dModel, outputs: 2 * dHidden, norm, y: buffers.gate });
    lower = { ...lower, size: 4 * dHidden };
    upper = { ...lower, offset: lower.offset + 4 * dHidden };
  } else {
    inner(gate.storage, range(weights.gateBias), buffers.gate);
    inner(up.storage, range(weights.upBias), buffers.up);
  }
  if (!activated)
    activate(kernels.gpu, {
      ...{ a: lower, b: gate && upper, y: buffers.hidden, activation },
      ...{ scale: 1, size: rows * dHidden },
    });
  const product = { x: buffers.hidden, rows, inputs: dHidden, outputs: dModel, bias: range(weights.downBias) };
  return projectWithNorm(kernels, down.storage, { ...product, y: call.y, accumulate: call.accumulate }, call.next);
}
