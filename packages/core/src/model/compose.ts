import { fusionOf } from '../backend/fusion.ts';
import { type Scope, scoped } from '../backend/scope.ts';
import { composeBlock } from '../block/compose.ts';
import type { BlockKernel, BlockState } from '../block/contract.ts';
import type { Backend } from '../contract/backend.ts';
import type { HostTensor, Tensor } from '../contract/tensor.ts';
import type {
  DecodeCall,
  DecodeOutcome,
  KernelState,
  LayerSnapshot,
  ModelCall,
  ModelConfig,
  ModelKernel,
  ModelOutcome,
  ModelWeights,
} from './contract.ts';

/** The model out of blocks and operations: what every fused form is held to. */
export function composeModel(backend: Backend, config: ModelConfig, weights: ModelWeights<Tensor>): ModelKernel {
  const blocks = weights.layers.map(
    ({ block }) => fusionOf(backend)?.block(config, block) ?? composeBlock(backend, config, block),
  );
  return {
    forward: (call) => forward(backend, config, weights, blocks, call),
    gather: (rows) => gather(backend, rows as readonly ComposedRow[]),
    exportState: (state) => exportState(backend, state as ComposedState),
    importState: (layers, batch) => importState(backend, config, layers, batch),
    dispose() {},
  };
}

/** A loop of forward and sample: the decode of kernels that have none of their own. Ids stay on the device. */
export function composeDecode(
  backend: Backend,
  kernel: ModelKernel,
  { ids, state, donated, count, sampling, batch }: DecodeCall,
): DecodeOutcome {
  return scoped((scope) => {
    const generated: Tensor[] = [];
    let current = state;
    for (let index = 0; index < count; index++) {
      const outcome = kernel.forward({
        ids: generated[index - 1] ?? ids,
        state: current,
        // The caller's state is given away only once everything has succeeded; those in between are ours.
        donated: index > 0,
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
    const width = (tensor: Tensor): number =>
      tensor.shape.reduce((size, extent) => size * extent, tensor.dtype === 'float64' ? 8 : 4);
    return this.layers.reduce((sum, { conv, ssm }) => sum + width(conv) + width(ssm), 0);
  }

  dispose(): void {
    for (const { conv, ssm } of this.layers) {
      conv.dispose();
      ssm.dispose();
    }
  }
}

interface ComposedRow {
  readonly state: ComposedState;
  readonly row: number;
}

function forward(
  backend: Backend,
  config: ModelConfig,
  weights: ModelWeights<Tensor>,
  blocks: readonly BlockKernel[],
  call: ModelCall,
): ModelOutcome {
  const { batch, length, resets } = call;
  const previous = call.state as ComposedState | undefined;
  return scoped((scope) => {
    const kept: Tensor[] = [];
    const states: BlockState[] = [];
    let residual = scope.own(backend.embedding(weights.embedding, call.ids));
    for (const [index, { norm }] of weights.layers.entries()) {
      const normed = scope.own(backend.rmsNorm(residual, { weight: norm, eps: config.normEps }));
      const mixed = blocks[index]!.forward({ x: normed, state: previous?.layers[index], resets, batch, length });
      scope.drop(normed);
      scope.own(mixed.y);
      states.push({ conv: scope.own(mixed.state.conv), ssm: scope.own(mixed.state.ssm) });
      const next = scope.own(backend.add(residual, mixed.y));
      scope.drop(mixed.y);
      if (call.hiddenStates) kept.push(residual);
      else scope.drop(residual);
      residual = next;
    }
    const logits = head(backend, config, weights, scope, residual, call, kept);
    if (logits !== undefined) scope.release(logits);
    for (const tensor of kept) scope.release(tensor);
    for (const { conv, ssm } of states) {
      scope.release(conv);
      scope.release(ssm);
    }
    if (call.donated) previous?.dispose();
    return { logits, state: new ComposedState(states, batch), hiddenStates: call.hiddenStates ? kept : undefined };
  });
}

/** Final norm and head, over the last position alone unless all are asked for. Appends the normed hidden state to `kept`. */
function head(
  backend: Backend,
  config: ModelConfig,
  weights: ModelWeights<Tensor>,
  scope: Scope,
  residual: Tensor,
  call: ModelCall,
  kept: Tensor[],
): Tensor | undefined {
  if (call.logits === 'none' && !call.hiddenStates) return undefined;
  const options = { weight: weights.finalNorm, eps: config.normEps };
  const last = (x: Tensor): Tensor =>
    call.logits === 'last' && call.length > 1 ? scope.own(backend.slice(x, 1, call.length - 1, call.length)) : x;
  if (!call.hiddenStates)
    return scope.own(backend.linear(scope.own(backend.rmsNorm(last(residual), options)), weights.head));
  const normed = scope.own(backend.rmsNorm(residual, options));
  kept.push(normed);
  return call.logits === 'none' ? undefined : scope.own(backend.linear(last(normed), weights.head));
}

function gather(backend: Backend, rows: readonly ComposedRow[]): ComposedState {
  return scoped((scope) => {
    const layers = rows[0]!.state.layers.map((_, layer): BlockState => {
      const join = (part: keyof BlockState): Tensor => {
        const parts = rows.map(({ state, row }) =>
          scope.own(backend.slice(state.layers[layer]![part], 0, row, row + 1)),
        );
        const joined = scope.own(backend.concat(parts, 0));
        for (const tensor of parts) scope.drop(tensor);
        return joined;
      };
      return { conv: join('conv'), ssm: join('ssm') };
    });
    for (const { conv, ssm } of layers) {
      scope.release(conv);
      scope.release(ssm);
    }
    return new ComposedState(layers, rows.length);
  });
}

async function exportState(backend: Backend, state: ComposedState): Promise<readonly LayerSnapshot[]> {
  const read = async (tensor: Tensor) => (await backend.read(tensor)) as Float32Array | Float64Array;
  return Promise.all(state.layers.map(async ({ conv, ssm }) => ({ conv: await read(conv), ssm: await read(ssm) })));
}

function importState(
  backend: Backend,
  config: ModelConfig,
  layers: readonly LayerSnapshot[],
  batch: number,
): ComposedState {
  const { dInner, dConv, dState } = config;
  return scoped((scope) => {
    const states = layers.map(({ conv, ssm }) => ({
      conv: scope.own(backend.upload(hostFloats(conv, [batch, dInner, dConv - 1]))),
      ssm: scope.own(backend.upload(hostFloats(ssm, [batch, dInner, dState]))),
    }));
    for (const { conv, ssm } of states) {
      scope.release(conv);
      scope.release(ssm);
    }
    return new ComposedState(states, batch);
  });
}

function hostFloats(data: Float32Array | Float64Array, shape: readonly number[]): HostTensor {
  return data instanceof Float64Array ? { dtype: 'float64', shape, data } : { dtype: 'float32', shape, data };
}
