import type { Checkpoint } from '@mamba/checkpoint';
import {
  type HostTensor,
  MambaError,
  type Model,
  type ModelConfig,
  type ModelState,
  modelParameters,
  type ParameterSource,
  type ParameterSpec,
  type Tensor,
} from '@mamba/core';
import { Scope, scoped } from '@mamba/core/driver';
import { checkIds, checkInteger, checkOptions } from '../check.ts';
import { checkSignal, yieldToEventLoop } from '../event-loop.ts';

export interface DeltaOptions {
  /** Tokens computed at once: bounds memory. Default 128. */
  readonly chunk?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * How far each layer opens to each token: delta, the step size of the selective scan (arXiv 2312.00752, section 3.5.2). A large one lets the
 * token in and forgets what was before; a small one passes over the token and keeps the state. Delta has a value for each of dInner
 * channels; what is given is their mean.
 */
export interface DeltaMap {
  readonly tokens: number;
  /** One for each layer: `[tokens]`. */
  readonly layers: readonly Float32Array[];
}

/** The weights between a layer's input and its delta. Shapes in brackets. */
interface DeltaWeights {
  /** `[dModel]` */
  readonly norm: Tensor;
  /** `[dInner, dModel]`: the rows of x; the gate has no part in delta. */
  readonly inProj: Tensor;
  /** `[dInner]` */
  readonly inProjBias: Tensor | undefined;
  /** `[dInner, dConv]` */
  readonly conv: Tensor;
  /** `[dInner]` */
  readonly convBias: Tensor | undefined;
  /** `[dtRank, dInner]`: the rows of dt. */
  readonly xProj: Tensor;
  /** `[dInner, dtRank]` */
  readonly dtProj: Tensor;
  /** `[dInner]` */
  readonly dtBias: Tensor;
}

/**
 * What a model's selection does, made by `lm.openSelection()`. A model keeps its weights to itself: this has a copy of those that delta
 * depends on, about a third of them, read once more from the checkpoint.
 */
export class Selection {
  readonly #model: Model;
  readonly #layers: readonly DeltaWeights[];
  #disposed = false;

  /** @internal Use `lm.openSelection()`. Tensor by tensor; where it fails, nothing stays. */
  static async load(model: Model, { name, config, source }: Pick<Checkpoint, 'name' | 'config' | 'source'>) {
    if (JSON.stringify(Object.entries(config).sort()) !== JSON.stringify(Object.entries(model.config).sort()))
      throw new MambaError('invalid-file', `${name} is not what it was when the model was loaded`, {
        origin: name,
        remedy: 'Load the model again.',
      });
    return new Selection(model, await loadWeights(model, config, source));
  }

  private constructor(model: Model, layers: readonly DeltaWeights[]) {
    this.#model = model;
    this.#layers = layers;
  }

  /**
   * Of every token of a sequence, in memory that is constant in length.
   * @throws MambaError `invalid-argument`, `disposed`, `aborted`, and what the model throws; nothing is leaked then.
   */
  async deltas(prompt: ArrayLike<number>, options: DeltaOptions = {}): Promise<DeltaMap> {
    checkOptions('deltas', options, ['chunk', 'signal']);
    const { chunk = 128, signal } = options;
    const model = this.#model;
    checkInteger('deltas.chunk', chunk, 1);
    const ids = checkIds('deltas.ids', prompt, model.config.vocabSize);
    const layers = this.#layers.map(() => new Float32Array(ids.length));
    const windows: (Tensor | undefined)[] = this.#layers.map(() => undefined);
    let state: ModelState | undefined;
    try {
      for (let start = 0; start < ids.length; start += chunk) {
        checkSignal('deltas', signal);
        if (this.#disposed) throw new MambaError('disposed', 'the selection was disposed', { origin: 'deltas' });
        const part = ids.slice(start, start + chunk);
        const result = model.forward([part], {
          ...{ state, donateState: state !== undefined, logits: 'none', hiddenStates: true, chunk },
        });
        state = result.state;
        await this.#read(result.hiddenStates!, windows, (layer, values) =>
          layers[layer]!.set(meanSoftplus(values, part.length), start),
        );
        await yieldToEventLoop();
      }
    } finally {
      state?.dispose();
      for (const window of windows) window?.dispose();
    }
    return { tokens: ids.length, layers };
  }

  /** Frees its weights; the model stays its owner's. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const weights of this.#layers) for (const tensor of Object.values(weights)) tensor?.dispose();
  }

  /** The inputs become its own. Those of layer i are the hidden states i: the embedding, or what the layer before gave. */
  async #read(
    inputs: readonly Tensor[],
    windows: (Tensor | undefined)[],
    take: (layer: number, values: ArrayLike<number>) => void,
  ): Promise<void> {
    const made: Tensor[] = [...inputs];
    try {
      const projected = this.#layers.map((weights, layer) => {
        const { logits, lastState } = this.#project(weights, inputs[layer]!, windows[layer]);
        made.push(logits);
        windows[layer]?.dispose();
        windows[layer] = lastState;
        return logits;
      });
      for (const [layer, logits] of projected.entries()) take(layer, await this.#model.backend.read(logits));
    } finally {
      for (const tensor of made) tensor.dispose();
    }
  }

  /** What softplus makes into delta, `[1, length, dInner]`; and the convolution's state. */
  #project(
    weights: DeltaWeights,
    input: Tensor,
    initialState: Tensor | undefined,
  ): { logits: Tensor; lastState: Tensor } {
    const { backend } = this.#model;
    const { normEps, mixerNormEps } = this.#model.config;
    return scoped((scope) => {
      const normed = scope.own(backend.rmsNorm(input, { weight: weights.norm, eps: normEps }));
      const inner = scope.own(backend.linear(normed, weights.inProj, weights.inProjBias));
      const conv = backend.causalConv1d(inner, weights.conv, weights.convBias, { activation: 'silu', initialState });
      const u = scope.own(conv.y);
      const lastState = scope.own(conv.lastState);
      let dt = scope.own(backend.linear(u, weights.xProj));
      if (mixerNormEps !== undefined) dt = scope.own(backend.rmsNorm(dt, { eps: mixerNormEps }));
      const logits = backend.linear(dt, weights.dtProj, weights.dtBias);
      return { logits, lastState: scope.release(lastState) };
    });
  }
}

async function loadWeights(
  { backend }: Model,
  config: ModelConfig,
  source: ParameterSource,
): Promise<readonly DeltaWeights[]> {
  const scope = new Scope();
  try {
    const layers = Array.from({ length: config.layers }, (): Record<string, Tensor> => ({}));
    for (const parameter of modelParameters(config)) {
      const rows = rowsTaken(config, parameter);
      if (parameter.layer === undefined || rows === 0) continue;
      const host = firstRows(await source(parameter), rows);
      const role = parameter.role === 'matrix' ? ({ role: 'matrix' } as const) : {};
      layers[parameter.layer]![parameter.key.replace('block.', '')] = scope.own(backend.upload(host, role));
    }
    for (const layer of layers) for (const tensor of Object.values(layer)) scope.release(tensor);
    return layers as unknown as readonly DeltaWeights[];
  } finally {
    scope.close();
  }
}

/** Of a parameter's rows, those that delta depends on: 0 for none. */
function rowsTaken({ dInner, dtRank }: ModelConfig, { key, shape }: ParameterSpec): number {
  switch (key) {
    case 'block.inProj':
    case 'block.inProjBias':
      return dInner;
    case 'block.xProj':
      return dtRank;
    case 'norm':
    case 'block.conv':
    case 'block.convBias':
    case 'block.dtProj':
    case 'block.dtBias':
      return shape[0]!;
    default:
      return 0;
  }
}

function firstRows(tensor: HostTensor, rows: number): HostTensor {
  const shape = [rows, ...tensor.shape.slice(1)];
  const size = shape.reduce((product, extent) => product * extent, 1);
  return { ...tensor, shape, data: tensor.data.subarray(0, size) } as HostTensor;
}

/** The mean of softplus(x) = log(1 + exp(x)) over each row; in a form that neither overflows nor loses small values. */
function meanSoftplus(values: ArrayLike<number>, rows: number): Float32Array {
  const channels = values.length / rows;
  const means = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let index = row * channels; index < (row + 1) * channels; index++) {
      const value = values[index]!;
      sum += Math.max(value, 0) + Math.log1p(Math.exp(-Math.abs(value)));
    }
    means[row] = sum / channels;
  }
  return means;
}
