import { type Scope, scoped } from '../backend/scope.ts';
import { blockKernel, composedBlock } from '../blocks/block.ts';
import type { BlockKernel, BlockState, StateSlot } from '../blocks/contract.ts';
import { disposeState, gatherRows, slotShape, uploadSlot } from '../blocks/state.ts';
import type { Backend } from '../contract/backend.ts';
import { MambaError } from '../contract/errors.ts';
import type { Tensor } from '../contract/tensor.ts';
import type {
  DecodeCall,
  DecodeOutcome,
  KernelState,
  KernelStateRow,
  LayerSnapshot,
  ModelCall,
  ModelConfig,
  ModelKernel,
  ModelOutcome,
  ModelWeights,
} from './contract.ts';
import { modelSlots } from './slots.ts';

export interface ComposeOptions {
  /** Uses the backend's fused forms of blocks. Default true; tests compare fused forms with false. */
  readonly fusedBlocks?: boolean | undefined;
}

/** A model composed of blocks and operations. */
export function composeModel(
  backend: Backend,
  config: ModelConfig,
  weights: ModelWeights<Tensor>,
  { fusedBlocks = true }: ComposeOptions = {},
): ModelKernel {
  const slots = modelSlots(config);
  const kernels = blockKernels(backend, config, weights, fusedBlocks);
  const model: Composed = { backend, config, weights, kernels, slots };
  return {
    forward: (call) => forward(model, call),
    gather: (rows) => gather(model, rows),
    exportState: (state) => exportState(model, state as ComposedState),
    importState: (layers, positions) => importState(model, layers, positions),
    weightsChanged() {
      for (const kernel of model.kernels) kernel.weightsChanged?.();
    },
    dispose() {
      for (const kernel of model.kernels) kernel.dispose?.();
    },
  };
}

/** A kernel for each block. Where one cannot be made, those before it free what they hold (packed weights). */
function blockKernels(
  backend: Backend,
  { blocks, dModel }: ModelConfig,
  weights: ModelWeights<Tensor>,
  fused: boolean,
): readonly BlockKernel[] {
  const kernelOf = fused ? blockKernel : composedBlock;
  const kernels: BlockKernel[] = [];
  try {
    for (const [layer, block] of blocks.entries())
      kernels.push(kernelOf(backend, block, weights.layers[layer]!.block, dModel));
    return kernels;
  } catch (error) {
    for (const kernel of kernels) kernel.dispose?.();
    throw error;
  }
}

interface Composed {
  readonly backend: Backend;
  readonly config: ModelConfig;
  readonly weights: ModelWeights<Tensor>;
  readonly kernels: readonly BlockKernel[];
  readonly slots: readonly (readonly StateSlot[])[];
}

/** Decodes by a loop of forward and sample, for kernels without a `decode` of their own. Ids stay on the device. */
export function composeDecode(
  backend: Backend,
  kernel: ModelKernel,
  { ids, state, donated, positions, count, sampling, batch }: DecodeCall,
): DecodeOutcome {
  return scoped((scope) => {
    const generated: Tensor[] = [];
    let current = state;
    for (let index = 0; index < count; index++) {
      const outcome = kernel.forward({
        ids: generated[index - 1] ?? ids,
        state: current,
        // The caller's state is donated only after all steps have succeeded; the states in between belong to this loop.
        donated: index > 0,
        positions: positions.map((position) => position + index),
        resets: undefined,
        logits: 'last',
        hiddenStates: false,
        batch,
        length: 1,
      });
      if (index > 0) scope.release(current!);
      current = scope.own(outcome.state);
      const logits = scope.own(outcome.logits!);
      generated.push(scope.own(pick(backend, scope, logits, sampling, index)));
      scope.drop(logits);
    }
    const joined = backend.concat(generated, 1);
    if (donated) state?.dispose();
    return { ids: joined, state: scope.release(current!) };
  });
}

function pick(backend: Backend, scope: Scope, logits: Tensor, sampling: DecodeCall['sampling'], index: number): Tensor {
  if (sampling === undefined) return backend.argmax(logits, { checked: true });
  const { uniform, ...options } = sampling;
  const column = scope.own(backend.slice(uniform, 1, index, index + 1));
  return backend.sample(logits, column, { ...options, checked: true });
}

class ComposedState implements KernelState {
  readonly layers: readonly BlockState[];
  readonly batch: number;

  constructor(layers: readonly BlockState[], batch: number) {
    this.layers = layers;
    this.batch = batch;
  }

  get bytes(): number {
    const size = ({ shape, dtype }: Tensor): number =>
      shape.reduce((product, extent) => product * extent, dtype === 'float64' ? 8 : 4);
    return this.layers.reduce((sum, state) => Object.values(state).reduce((all, tensor) => all + size(tensor), sum), 0);
  }

  dispose(): void {
    for (const state of this.layers) disposeState(state);
  }
}

function forward(model: Composed, call: ModelCall): ModelOutcome {
  const { config, weights, kernels } = model;
  const { batch, length, positions, resets } = call;
  const previous = call.state as ComposedState | undefined;
  return scoped((scope) => {
    const kept: Tensor[] = [];
    const states: BlockState[] = [];
    let residual = embed(model, scope, call);
    for (const [index, kernel] of kernels.entries()) {
      const { norm, normBias } = weights.layers[index]!;
      const normed = normalise(model, scope, residual, norm, normBias);
      const mixed = kernel.forward({ x: normed, state: previous?.layers[index], positions, resets, batch, length });
      scope.drop(normed);
      for (const tensor of Object.values(mixed.state)) scope.own(tensor);
      states.push(mixed.state);
      const y = scaled(model, scope, scope.own(mixed.y), config.multipliers?.residual);
      const next = scope.own(model.backend.add(residual, y));
      scope.drop(y);
      if (call.hiddenStates) kept.push(residual);
      else scope.drop(residual);
      residual = next;
    }
    const logits = head(model, scope, residual, call, kept);
    if (logits !== undefined) scope.release(logits);
    for (const tensor of kept) scope.release(tensor);
    for (const state of states) for (const tensor of Object.values(state)) scope.release(tensor);
    if (call.donated) previous?.dispose();
    return { logits, state: new ComposedState(states, batch), hiddenStates: call.hiddenStates ? kept : undefined };
  });
}

function embed({ backend, config, weights }: Composed, scope: Scope, call: ModelCall): Tensor {
  const rows = scope.own(backend.embedding(weights.embedding, call.ids));
  const embedded = scaled({ backend }, scope, rows, config.multipliers?.embedding);
  if (weights.positions === undefined) return embedded;
  const placed = scope.own(backend.embedding(weights.positions, scope.own(positionIds(backend, config, call))));
  const sum = scope.own(backend.add(embedded, placed));
  scope.drop(embedded);
  scope.drop(placed);
  return sum;
}

/** int32 `[batch, length]`: the position of each token in its row. */
function positionIds(backend: Backend, config: ModelConfig, { positions, batch, length, resets }: ModelCall): Tensor {
  const most = config.positions!;
  const end = Math.max(...positions) + length;
  if (end > most)
    throw new MambaError('invalid-argument', `the model has ${most} positions`, {
      origin: 'model.forward',
      given: `a sequence of ${end} tokens`,
      expected: `at most ${most} tokens`,
      remedy: 'Begin anew without a state, with the last tokens that fit.',
    });
  if (resets !== undefined)
    throw new MambaError('unsupported', 'a model with a table of positions takes no resets', {
      origin: 'model.forward.resets',
      remedy: 'Feed packed sequences as rows of their own.',
    });
  const data = new Int32Array(batch * length);
  for (const index of data.keys()) data[index] = positions[Math.floor(index / length)]! + (index % length);
  return backend.upload({ dtype: 'int32', shape: [batch, length], data });
}

/** x times a factor, which replaces x in the scope; x itself where the factor is 1. */
function scaled({ backend }: Pick<Composed, 'backend'>, scope: Scope, x: Tensor, scale: number | undefined): Tensor {
  if (scale === undefined || scale === 1) return x;
  const y = scope.own(backend.multiply(x, undefined, { scale }));
  scope.drop(x);
  return y;
}

function normalise(
  { backend, config }: Composed,
  scope: Scope,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
): Tensor {
  const eps = config.normEps;
  return scope.own(
    config.norm === 'layer' ? backend.layerNorm(x, { weight, bias, eps }) : backend.rmsNorm(x, { weight, eps }),
  );
}

/**
 * Applies the final norm and the head: to the last position alone, unless all logits are asked for. Appends the
 * normalised hidden state to `kept` if hidden states are asked for.
 */
function head(model: Composed, scope: Scope, residual: Tensor, call: ModelCall, kept: Tensor[]): Tensor | undefined {
  if (call.logits === 'none' && !call.hiddenStates) return undefined;
  const { backend, config, weights } = model;
  const normed = (x: Tensor): Tensor => normalise(model, scope, x, weights.finalNorm, weights.finalNormBias);
  const logits = (x: Tensor): Tensor =>
    scaled(model, scope, scope.own(backend.linear(x, weights.head)), config.multipliers?.logits);
  const last = (x: Tensor): Tensor =>
    call.logits === 'last' && call.length > 1 ? scope.own(backend.slice(x, 1, call.length - 1, call.length)) : x;
  if (!call.hiddenStates) return logits(normed(last(residual)));
  const all = normed(residual);
  kept.push(all);
  return call.logits === 'none' ? undefined : logits(last(all));
}

function gather({ backend, slots }: Composed, rows: readonly KernelStateRow[]): ComposedState {
  return eachLayer(slots, rows.length, (layer) =>
    gatherRows(
      backend,
      slots[layer]!,
      rows.map(({ state, row, position }) => ({ state: (state as ComposedState).layers[layer]!, row, position })),
    ),
  );
}

async function exportState({ backend }: Composed, state: ComposedState): Promise<readonly LayerSnapshot[]> {
  return Promise.all(
    state.layers.map(async (layer) => {
      const entries = Object.entries(layer).map(async ([name, tensor]) => [name, await backend.read(tensor)] as const);
      return Object.fromEntries(await Promise.all(entries)) as LayerSnapshot;
    }),
  );
}

function importState(
  { backend, slots }: Composed,
  layers: readonly LayerSnapshot[],
  positions: readonly number[],
): ComposedState {
  return eachLayer(slots, positions.length, (layer, scope) => {
    const state: Record<string, Tensor> = {};
    for (const slot of slots[layer]!) {
      const shape = slotShape(slot, positions);
      if (shape !== undefined) state[slot.name] = scope.own(uploadSlot(backend, layers[layer]![slot.name]!, shape));
    }
    return state;
  });
}

/** Makes a state layer by layer. If a layer fails, the layers before it are freed. */
function eachLayer(
  slots: Composed['slots'],
  batch: number,
  make: (layer: number, scope: Scope) => BlockState,
): ComposedState {
  return scoped((scope) => {
    const layers = slots.map((_, layer) => {
      const state = make(layer, scope);
      for (const tensor of Object.values(state)) scope.own(tensor);
      return state;
    });
    for (const state of layers) for (const tensor of Object.values(state)) scope.release(tensor);
    return new ComposedState(layers, batch);
  });
}
