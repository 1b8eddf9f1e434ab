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
import { step } from './step.ts';
import { Stepper } from './stepper.ts';

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
  const stepper = new Stepper(gpu, config, (port, state, rows) => {
    step(gpu, config, layers, state, port.buffers, port.fed, rows);
    gpu.allocating((allocator) => writeLogits(model, allocator, port.buffers.residual, true, 1, rows, port.logits));
  });
  const model: Fused = { gpu, context, config, layers, stepper };
  return {
    forward: (call) => forward(model, call),
    decode: (call) => decode(model, call),
    gather: (rows) => gatherState(gpu, config, rows),
    exportState: (state) => exportState(gpu, config, stateOf(state)!),
    importState: (snapshots, batch) => importState(gpu, config, snapshots, batch),
    warm: () => warm(model),
    dispose() {
      stepper.dispose();
      freeLayers(gpu, layers);
    },
  };
}

interface Fused {
  readonly gpu: Gpu;
  readonly context: FusionContext<Storage>;
  readonly config: ModelConfig;
  readonly layers: Layers;
  readonly stepper: Stepper;
}

function forward(model: Fused, call: ModelCall): ModelOutcome {
  const { gpu, context, config } = model;
  const { batch, length, logits, hiddenStates } = call;
  const previous = stateOf(call.state);
  const logitRows = logits === 'none' ? 0 : logits === 'all' ? batch * length : batch;
  check(gpu, config, batch, length, logitRows);
  const ids = rangeOf(context.device(call.ids));
  const stepped = length === 1 && batch <= VECTOR_ROWS && call.resets === undefined && !hiddenStates && logitRows > 0;
  const outcome = stepped
    ? forwardStep(model, call, previous, ids)
    : forwardChunk(model, call, previous, ids, logitRows);
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

interface Outcome {
  readonly state: readonly LayerState[];
  readonly values: PooledBuffer | undefined;
  readonly kept: readonly PooledBuffer[];
}

function forwardStep(
  { gpu, config, stepper }: Fused,
  { batch, donated }: ModelCall,
  previous: FusedState | undefined,
  ids: BufferRange,
): Outcome {
  return gpu.allocating((allocator) => {
    const { fed, logits } = stepper.port(batch);
    const size = 4 * batch * config.vocabSize;
    const values = allocator.result(size, 'logits');
    const state = writableState(gpu, allocator, config, previous, donated, batch);
    const plan = stepper.plan(state, batch);
    gpu.recorder.copy(ids.buffer, ids.offset, fed.buffer, 0, 4 * batch);
    gpu.recorder.replay(plan);
    gpu.recorder.copy(logits.buffer, 0, values.buffer, 0, size);
    return { state, values, kept: [] };
  });
}

function forwardChunk(
  model: Fused,
  call: ModelCall,
  previous: FusedState | undefined,
  ids: BufferRange,
  logitRows: number,
): Outcome {
  const { gpu, context, config } = model;
  const { batch, length } = call;
  const resets = call.resets && rangeOf(context.device(call.resets));
  return gpu.allocating((allocator) => {
    const residual = whole(allocator.scratch(4 * batch * length * config.dModel, 'residual'));
    const kept: PooledBuffer[] = [];
    const state = nextState(gpu, allocator, config, previous, call.donated, batch);
    prefill(model, allocator, { ...call, resets, ids }, previous, state, residual, kept);
    const last = call.hiddenStates ? whole(normed(model, allocator, residual, batch * length, kept)) : undefined;
    const values = logitRows === 0 ? undefined : allocator.result(4 * logitRows * config.vocabSize, 'logits');
    const every = call.logits === 'last' ? length : 1;
    if (values !== undefined)
      writeLogits(model, allocator, last ?? residual, last === undefined, every, logitRows, whole(values));
    return { state, values, kept };
  });
}

interface Chunk {
  readonly batch: number;
  readonly length: number;
  readonly hiddenStates: boolean;
  readonly ids: BufferRange;
  readonly resets: BufferRange | undefined;
}

/** All layers over a chunk. Fills the residual, and `kept` with the residual before each layer where it is asked for. */
function prefill(
  { gpu, config, layers }: Fused,
  allocator: Allocator,
  { batch, length, hiddenStates, ids, resets }: Chunk,
  previous: FusedState | undefined,
  state: readonly LayerState[],
  residual: BufferRange,
  kept: PooledBuffer[],
): void {
  const { dModel, vocabSize } = config;
  const rows = batch * length;
  const buffers = prefillBuffers(allocator, config, rows);
  gatherRows(gpu, layers.embedding, {
    tableRows: vocabSize,
    ids,
    idRow: 1,
    idOffset: 0,
    count: rows,
    channels: dModel,
    y: residual,
  });
  for (const [index, layer] of layers.layers.entries()) {
    if (hiddenStates) {
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
  const { gpu, context, config, stepper } = model;
  const { batch, count, sampling } = call;
  const { vocabSize: vocab } = config;
  const previous = stateOf(call.state);
  check(gpu, config, batch, 1, batch);
  const first = rangeOf(context.device(call.ids));
  const uniform = sampling && rangeOf(context.device(sampling.uniform));
  const outcome = gpu.allocating((allocator) => {
    const { fed, logits } = stepper.port(batch);
    const ids = allocator.result(4 * batch * count, 'generated ids');
    const state = writableState(gpu, allocator, config, previous, call.donated, batch);
    const plan = stepper.plan(state, batch);
    const choice = { logits, rows: batch, vocab, ids: whole(ids), idRow: count, idOffset: 0, checked: true, fed };
    const choosing = gpu.capture(() => {
      if (sampling === undefined) largest(gpu, choice);
      else draw(gpu, choice, { ...sampling, uniform: uniform!, uniformRow: count, uniformOffset: 0 });
    });
    gpu.recorder.copy(first.buffer, first.offset, fed.buffer, 0, 4 * batch);
    gpu.recorder.clear(fed.buffer, 4 * batch, 4 * batch);
    for (let index = 0; index < count; index++) {
      gpu.recorder.replay(plan);
      gpu.recorder.replay(choosing.plan);
    }
    choosing.forget();
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

/** Rows that stand for what a prompt's chunks may have: pipelines differ by how many there are. */
const WARM_LENGTHS = [2, 16, 64, 128, 512];

/** Compiles what a prompt, a step and a generation take; sampling by its own filters is left to the first call. */
function warm(model: Fused): Promise<void> {
  const { gpu, config, layers, stepper } = model;
  return gpu.prepare(() =>
    gpu.allocating((allocator) => {
      const state = allocateState(allocator, config, 1);
      const memory = whole(allocator.scratch(16, 'nothing'));
      // One layer is like another.
      const one = { ...model, layers: { ...layers, layers: layers.layers.slice(0, 1) } };
      for (const length of WARM_LENGTHS) {
        const chunk = { batch: 1, length, hiddenStates: false, ids: memory, resets: undefined };
        for (const previous of [undefined, new FusedState(gpu, state, 1)])
          prefill(one, allocator, chunk, previous, state, memory, []);
      }
      stepper.warm(state);
      const choice = { logits: memory, rows: 1, vocab: config.vocabSize, ids: memory, idRow: 1, idOffset: 0 };
      largest(gpu, { ...choice, checked: false });
      largest(gpu, { ...choice, checked: true, fed: memory });
      const sampling = { temperature: 1, topK: config.vocabSize, topP: 1, minP: 0 };
      draw(
        gpu,
        { ...choice, checked: true, fed: memory },
        { ...sampling, uniform: memory, uniformRow: 1, uniformOffset: 0 },
      );
    }),
  );
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
