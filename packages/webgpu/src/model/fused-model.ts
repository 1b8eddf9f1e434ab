import { MambaError, type Tensor } from '@mamba/core';
import type {
  DecodeCall,
  DecodeOutcome,
  FusionContext,
  ModelCall,
  ModelConfig,
  ModelKernel,
  ModelOutcome,
  ModelWeights,
} from '@mamba/core/driver';
import type { PooledBuffer } from '../gpu/buffer-pool.ts';
import { type Allocator, type Gpu, whole } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { largest } from '../operations/argmax.ts';
import { gatherRows } from '../operations/embedding.ts';
import { project, VECTOR_ROWS } from '../operations/linear.ts';
import { normalise } from '../operations/rms-norm.ts';
import { draw } from '../operations/sample.ts';
import { plainStorage, rangeOf, type Storage } from '../storage.ts';
import { supportsCall } from '../supports.ts';
import { bindLayers, freeLayers, type Layers } from './layers.ts';
import { prefillBuffers, prefillLayer } from './prefill.ts';
import {
  allocateState,
  exportState,
  FusedState,
  gatherState,
  importState,
  type LayerState,
  stateOf,
  writableState,
} from './state.ts';
import { embedStep, type StepIds, step, stepBuffers, stepLayers } from './step.ts';

/**
 * The whole model on the device: activations and state never leave it, and no call waits. Undefined where this model has a part that
 * the kernels do not take, so that the composition says which.
 */
export function fusedModel(
  gpu: Gpu,
  context: FusionContext<Storage>,
  config: ModelConfig,
  weights: ModelWeights<Tensor>,
): ModelKernel | undefined {
  if (refusal(gpu, config, 1, 1, 0) !== undefined) return undefined;
  const layers = gpu.allocating((allocator) =>
    bindLayers(gpu, allocator, config, weights, (tensor) => context.device(tensor)),
  );
  const model: Fused = { gpu, context, config, layers };
  return {
    forward: (call) => forward(model, call),
    decode: (call) => decode(model, call),
    gather: (rows) => gatherState(gpu, config, rows),
    exportState: (state) => exportState(gpu, config, stateOf(state)!),
    importState: (snapshots, batch) => importState(gpu, config, snapshots, batch),
    dispose: () => freeLayers(gpu, layers),
  };
}

interface Fused {
  readonly gpu: Gpu;
  readonly context: FusionContext<Storage>;
  readonly config: ModelConfig;
  readonly layers: Layers;
}

function forward(model: Fused, call: ModelCall): ModelOutcome {
  const { gpu, context, config, layers } = model;
  const { batch, length, logits, hiddenStates } = call;
  const previous = stateOf(call.state);
  const logitRows = logits === 'none' ? 0 : logits === 'all' ? batch * length : batch;
  check(gpu, config, batch, length, logitRows);
  const ids: StepIds = { ids: rangeOf(context.device(call.ids)), idRow: 1, idOffset: 0 };
  const stepped = length === 1 && batch <= VECTOR_ROWS && call.resets === undefined && !hiddenStates;

  const outcome = gpu.allocating((allocator) => {
    const residual = whole(allocator.scratch(4 * batch * length * config.dModel, 'residual'));
    const kept: PooledBuffer[] = [];
    let state: readonly LayerState[];
    if (stepped) {
      state = writableState(gpu, allocator, config, previous, call.donated, batch);
      step(gpu, config, layers, state, { ...stepBuffers(allocator, config, batch), residual }, ids, batch);
    } else {
      state = prefill(model, allocator, call, previous, residual, ids, kept);
    }
    const last = hiddenStates ? whole(normed(model, allocator, residual, batch * length, kept)) : undefined;
    const values = logitRows === 0 ? undefined : allocator.result(4 * logitRows * config.vocabSize, 'logits');
    if (values !== undefined) {
      const source = last ?? residual;
      writeLogits(
        model,
        allocator,
        source,
        last === undefined,
        logits === 'last' ? length : 1,
        logitRows,
        whole(values),
      );
    }
    return { state, values, kept };
  });
  // From here nothing throws: storage goes to its owners.
  if (call.donated) releaseUnused(gpu, previous, outcome.state);
  const tensor = (buffer: PooledBuffer, ...shape: number[]): Tensor =>
    context.tensor(plainStorage(buffer), { shape, dtype: 'float32' });
  return {
    state: new FusedState(gpu, outcome.state, batch),
    logits: outcome.values && tensor(outcome.values, batch, logits === 'all' ? length : 1, config.vocabSize),
    hiddenStates: hiddenStates ? outcome.kept.map((buffer) => tensor(buffer, batch, length, config.dModel)) : undefined,
  };
}

/** All layers over a chunk. Fills the residual, and `kept` with the residual before each layer where it is asked for. */
function prefill(
  { gpu, context, config, layers }: Fused,
  allocator: Allocator,
  call: ModelCall,
  previous: FusedState | undefined,
  residual: BufferRange,
  ids: StepIds,
  kept: PooledBuffer[],
): readonly LayerState[] {
  const { batch, length } = call;
  const { dModel, vocabSize } = config;
  const rows = batch * length;
  const resets = call.resets && rangeOf(context.device(call.resets));
  const state = nextState(gpu, allocator, config, previous, call.donated, batch);
  const buffers = prefillBuffers(allocator, config, rows);
  gatherRows(gpu, layers.embedding, { tableRows: vocabSize, ...ids, count: rows, channels: dModel, y: residual });
  for (const [index, layer] of layers.layers.entries()) {
    if (call.hiddenStates) {
      const copy = allocator.result(4 * rows * dModel, 'hidden state');
      gpu.recorder.copy(residual.buffer, 0, copy.buffer, 0, 4 * rows * dModel);
      kept.push(copy);
    }
    const before = previous?.layers[index]?.conv;
    prefillLayer(gpu, allocator, config, layer, before && whole(before), state[index]!, residual, buffers, {
      batch,
      length,
      resets,
    });
  }
  return state;
}

/** The convolution reads its last state while it writes the next, so that one is always new; the scan's moves on in place. */
function nextState(
  gpu: Gpu,
  allocator: Allocator,
  config: ModelConfig,
  previous: FusedState | undefined,
  donated: boolean,
  batch: number,
): readonly LayerState[] {
  if (donated && previous !== undefined) {
    const { dInner, dConv } = config;
    return previous.layers.map(({ ssm }) => ({
      conv: allocator.result(4 * batch * dInner * (dConv - 1), 'conv state'),
      ssm,
    }));
  }
  const layers = allocateState(allocator, config, batch);
  for (const [index, { ssm }] of layers.entries()) {
    const source = previous?.layers[index]?.ssm;
    if (source === undefined) gpu.recorder.clear(ssm.buffer, 0, ssm.size);
    else gpu.recorder.copy(source.buffer, 0, ssm.buffer, 0, ssm.size);
  }
  return layers;
}

function releaseUnused(gpu: Gpu, previous: FusedState | undefined, state: readonly LayerState[]): void {
  for (const [index, { conv, ssm }] of previous?.layers.entries() ?? []) {
    if (state[index]!.conv !== conv) gpu.pool.give(conv);
    if (state[index]!.ssm !== ssm) gpu.pool.give(ssm);
  }
}

function normed(
  { gpu, config, layers }: Fused,
  allocator: Allocator,
  x: BufferRange,
  rows: number,
  kept: PooledBuffer[],
): PooledBuffer {
  const { dModel: channels, normEps: eps } = config;
  const y = allocator.result(4 * rows * channels, 'hidden state');
  normalise(gpu, { x, weight: layers.finalNorm, y: whole(y), rows, channels, xRow: channels, xOffset: 0, eps });
  kept.push(y);
  return y;
}

/** Head over every `every`-th row, from the last of the first `every`; normalises the rows first unless they are. */
function writeLogits(
  { gpu, config, layers }: Fused,
  allocator: Allocator,
  x: BufferRange,
  norm: boolean,
  every: number,
  rows: number,
  y: BufferRange,
): void {
  const { dModel, vocabSize, normEps: eps } = config;
  const strides = { xRow: every * dModel, xOffset: (every - 1) * dModel };
  const projection = { rows, inputs: dModel, outputs: vocabSize, y };
  if (!norm) project(gpu, layers.head, { x, ...strides, ...projection });
  else if (rows <= VECTOR_ROWS)
    project(gpu, layers.head, { x, ...strides, ...projection, norm: { weight: layers.finalNorm, eps } });
  else {
    const dense = whole(allocator.scratch(4 * rows * dModel, 'normed'));
    normalise(gpu, { x, weight: layers.finalNorm, y: dense, rows, channels: dModel, ...strides, eps });
    project(gpu, layers.head, { x: dense, ...projection });
  }
}

/** Generates `count` tokens: each is chosen on the device and fed to the next step; nothing is read back. */
function decode(model: Fused, call: DecodeCall): DecodeOutcome {
  const { gpu, context, config, layers } = model;
  const { batch, count, sampling } = call;
  const { vocabSize: vocab } = config;
  const previous = stateOf(call.state);
  check(gpu, config, batch, 1, batch);
  const first = rangeOf(context.device(call.ids));
  const uniform = sampling && rangeOf(context.device(sampling.uniform));
  const outcome = gpu.allocating((allocator) => {
    const ids = allocator.result(4 * batch * count, 'generated ids');
    const logits = whole(allocator.scratch(4 * batch * vocab, 'logits'));
    const buffers = stepBuffers(allocator, config, batch);
    const state = writableState(gpu, allocator, config, previous, call.donated, batch);
    // Everything but where ids lie is the same for each token: looked up once.
    const body = gpu.recorder.capture(() => {
      stepLayers(gpu, config, layers, state, buffers, batch);
      writeLogits(model, allocator, buffers.residual, true, 1, batch, logits);
    });
    for (let index = 0; index < count; index++) {
      const fed: StepIds =
        index === 0 ? { ids: first, idRow: 1, idOffset: 0 } : { ids: whole(ids), idRow: count, idOffset: index - 1 };
      embedStep(gpu, config, layers, buffers, fed, batch);
      gpu.recorder.replay(body);
      const choice = { logits, rows: batch, vocab, ids: whole(ids), idRow: count, idOffset: index };
      if (sampling === undefined) largest(gpu, choice);
      else draw(gpu, choice, { ...sampling, uniform: uniform!, uniformRow: count, uniformOffset: index });
    }
    return { ids, state };
  });
  return {
    ids: context.tensor(plainStorage(outcome.ids, 'int32'), {
      shape: [batch, count],
      dtype: 'int32',
      range: { min: 0, max: vocab - 1 },
    }),
    state: new FusedState(gpu, outcome.state, batch),
  };
}

function check(gpu: Gpu, config: ModelConfig, batch: number, length: number, logitRows: number): void {
  const reason = refusal(gpu, config, batch, length, logitRows);
  if (reason !== undefined)
    throw new MambaError('unsupported', `webgpu cannot run this call: ${reason}`, {
      origin: 'model.forward',
      given: `batch ${batch}, length ${length}`,
      remedy: 'Take a smaller chunk or batch, or ask for fewer logits.',
    });
}

/** Why a call of this size cannot run: the operations that it stands for are asked. */
function refusal(
  gpu: Gpu,
  { dModel, dInner, dState, dConv, vocabSize }: ModelConfig,
  batch: number,
  length: number,
  logitRows: number,
): string | undefined {
  const spec = (...shape: number[]) => ({ shape, dtype: 'float32' }) as const;
  const absent = undefined;
  const wide = spec(batch, length, 2 * dInner);
  const u = spec(batch, length, dInner);
  const B = spec(batch, length, 1, dState);
  const A = spec(dInner, dState);
  const answers = [
    supportsCall(gpu, 'add', { a: wide, b: wide, size: 0 }),
    supportsCall(gpu, 'causalConv1d', {
      x: u,
      weight: spec(dInner, dConv),
      bias: absent,
      initialState: absent,
      resets: absent,
      activation: 'silu',
      batch,
      length,
      dim: dInner,
      width: dConv,
    }),
    supportsCall(gpu, 'selectiveScan', {
      u,
      delta: u,
      A,
      B,
      C: B,
      D: absent,
      z: absent,
      deltaBias: absent,
      initialState: absent,
      resets: { shape: [batch, length], dtype: 'int32' },
      deltaSoftplus: true,
      discretization: 'euler',
      batch,
      length,
      dim: dInner,
      state: dState,
      groups: 1,
      constantB: false,
      constantC: false,
    }),
    ...(logitRows === 0
      ? []
      : [
          supportsCall(gpu, 'linear', {
            x: spec(logitRows, dModel),
            weight: { shape: [1, 1], dtype: 'float32' },
            bias: absent,
            rows: logitRows,
            inputs: dModel,
            outputs: vocabSize,
          }),
        ]),
  ];
  for (const answer of answers) if (!answer.supported) return answer.reason;
  return undefined;
}
