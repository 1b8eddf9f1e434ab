import { fusionOf } from '../backend/fusion.ts';
import { Scope, scoped } from '../backend/scope.ts';
import { blockKernel, composedBlock } from '../blocks/block.ts';
import type { BlockKernel, BlockState, LayerKernel, StateSlot } from '../blocks/contract.ts';
import { disposeState, exactSlot, gatherRows, slotShape, uploadSlot } from '../blocks/state.ts';
import type { Backend } from '../contract/backend.ts';
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
import { beginsGroup, embedTokens, finalHidden, logitsOf, type ModelParts, runLayer } from './walk.ts';

export interface ComposeOptions {
  /** Uses the backend's fused forms of layers and blocks. Default true; tests compare fused forms with false. */
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
  const kernels = layerKernels(backend, config, weights, fusedBlocks);
  const model: Composed = { backend, config, weights, kernels, slots };
  return {
    forward: (call) => forward(model, call),
    gather: (rows) => gather(model, rows),
    exportState: (state, positions) => exportState(model, state as ComposedState, positions),
    importState: (layers, positions) => importState(model, layers, positions),
    weightsChanged() {
      for (const kernel of model.kernels) kernel.weightsChanged?.();
    },
    dispose() {
      for (const kernel of model.kernels) kernel.dispose?.();
    },
  };
}

/** A kernel for each layer. Where one cannot be made, those before it free what they hold (packed weights). */
function layerKernels(
  backend: Backend,
  config: ModelConfig,
  weights: ModelWeights<Tensor>,
  fused: boolean,
): readonly LayerKernel[] {
  const kernels: LayerKernel[] = [];
  try {
    for (const layer of config.blocks.keys())
      kernels.push(
        (fused ? fusedLayer(backend, config, weights, layer) : undefined) ??
          composedLayer(backend, config, weights, layer, fused),
      );
    return kernels;
  } catch (error) {
    for (const kernel of kernels) kernel.dispose?.();
    throw error;
  }
}

/** The backend's fused form of a layer; undefined where it has none, or where a factor comes before the sum. */
function fusedLayer(
  backend: Backend,
  { blocks, dModel, normEps: eps, norm: kind = 'rms', multipliers }: ModelConfig,
  weights: ModelWeights<Tensor>,
  layer: number,
): LayerKernel | undefined {
  if ((multipliers?.residual ?? 1) !== 1) return undefined;
  const { norm: weight, normBias: bias, block } = weights.layers[layer]!;
  const norm = { kind, weight, bias, eps };
  return fusionOf(backend)?.layer({ config: blocks[layer]!, weights: block, dModel, norm });
}

function composedLayer(
  backend: Backend,
  config: ModelConfig,
  weights: ModelWeights<Tensor>,
  layer: number,
  fusedBlock: boolean,
): LayerKernel {
  const { blocks, dModel } = config;
  const own = weights.layers[layer]!;
  const kernel: BlockKernel = fusedBlock
    ? blockKernel(backend, blocks[layer]!, own.block, dModel)
    : composedBlock(backend, blocks[layer]!, own.block);
  return {
    forward: ({ residual, read, donated: _, ...call }) =>
      runLayer({ backend, config }, own, kernel, residual, call, read),
    weightsChanged: () => kernel.weightsChanged?.(),
    dispose: () => kernel.dispose?.(),
  };
}

interface Composed extends ModelParts {
  readonly weights: ModelWeights<Tensor>;
  readonly kernels: readonly LayerKernel[];
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

/** The state of a model that core walks through: that of each layer's block. It owns their tensors. */
export class ComposedState implements KernelState {
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
  const { backend, kernels } = model;
  const { batch, length, positions, resets } = call;
  const previous = call.state as ComposedState | undefined;
  return scoped((scope) => {
    const kept: Tensor[] = [];
    const states: BlockState[] = [];
    let residual = scope.own(embedTokens(model, call));
    let read = residual;
    for (const [index, kernel] of kernels.entries()) {
      if (beginsGroup(model.config, index) && read !== residual) {
        if (!kept.includes(read)) scope.drop(read);
        read = residual;
      }
      const state = previous?.layers[index];
      // Later blocks of a parallel group still need what they read, and the caller all hidden states.
      const needed = call.hiddenStates || (residual === read && !beginsGroup(model.config, index + 1));
      const given = { residual, read, donated: !needed, state, positions, resets, batch, length };
      const next = kernel.forward(given);
      for (const tensor of Object.values(next.state)) scope.own(tensor);
      states.push(next.state);
      if (next.residual === residual) continue;
      if (call.hiddenStates) kept.push(residual);
      else if (residual !== read) scope.drop(residual);
      residual = scope.own(next.residual);
    }
    if (read !== residual && !kept.includes(read)) scope.drop(read);
    let logits: Tensor | undefined;
    const last = (x: Tensor): Tensor =>
      call.logits === 'last' && length > 1 ? scope.own(backend.slice(x, 1, length - 1, length)) : x;
    if (call.hiddenStates) {
      const normed = scope.own(finalHidden(model, residual));
      kept.push(normed);
      if (call.logits !== 'none') logits = scope.own(logitsOf(model, last(normed)));
    } else if (call.logits !== 'none') {
      logits = scope.own(logitsOf(model, scope.own(finalHidden(model, last(residual)))));
    }
    if (logits !== undefined) scope.release(logits);
    for (const tensor of kept) scope.release(tensor);
    for (const state of states) for (const tensor of Object.values(state)) scope.release(tensor);
    if (call.donated) previous?.dispose();
    return { logits, state: new ComposedState(states, batch), hiddenStates: call.hiddenStates ? kept : undefined };
  });
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

async function exportState(
  { backend, slots }: Composed,
  state: ComposedState,
  positions: readonly number[],
): Promise<readonly LayerSnapshot[]> {
  const scope = new Scope();
  try {
    const layers = state.layers.map((layer, index) =>
      slots[index]!.flatMap((slot) => {
        const tensor = exactSlot(backend, scope, slot, layer, positions);
        return tensor === undefined ? [] : [{ name: slot.name, values: backend.read(tensor) }];
      }),
    );
    // All have ended before a tensor is disposed, those after a failure too.
    await Promise.allSettled(layers.flat().map(({ values }) => values));
    return await Promise.all(
      layers.map(async (layer) => {
        const entries = await Promise.all(layer.map(async ({ name, values }) => [name, await values] as const));
        return Object.fromEntries(entries) as LayerSnapshot;
      }),
    );
  } finally {
    scope.close();
  }
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
