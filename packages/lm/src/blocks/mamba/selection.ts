import type { Checkpoint } from '@mamba/checkpoint';
import {
  type BlockConfig,
  blocksOf,
  type HostTensor,
  type MambaConfig,
  MambaError,
  type Model,
  type ModelConfig,
  type ModelState,
  modelConfig,
  modelParameters,
  type ParameterSource,
  type ParameterSpec,
  type Tensor,
} from '@mamba/core';
import { checkInteger, checkOptions, Scope, scoped, yieldToEventLoop } from '@mamba/core/toolkit';
import { checkIds } from '../../check.ts';
import { checkSignal } from '../../check-signal.ts';

/** How step sizes are read: in chunks, until the signal is aborted. */
export interface DeltaOptions {
  /** Tokens computed at once; bounds memory. Default 128. */
  readonly chunk?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Delta, the step size of the selective scan (arXiv 2312.00752, section 3.5.2), for each token and layer. With a large
 * delta a layer resets its state and takes the token in; with a small one it ignores the token and keeps its state.
 * Delta has a value for each of dInner channels; this is their mean.
 */
export interface DeltaMap {
  /** Number of tokens. */
  readonly tokens: number;
  /** `[tokens]` for each layer that is a Mamba block, from the first to the last. */
  readonly layers: readonly Float32Array[];
}

/** The weights between a layer's input and its delta. */
interface DeltaWeights {
  /** Index among all layers of the model, other kinds included. */
  readonly layer: number;
  readonly block: MambaConfig;
  /** `[dModel]` */
  readonly norm: Tensor;
  /** `[dInner, dModel]`: the rows of x, without those of the gate. */
  readonly inProj: Tensor;
  /** `[dInner]` */
  readonly inProjBias: Tensor | undefined;
  /** `[dInner, dConv]` */
  readonly conv: Tensor;
  /** `[dInner]` */
  readonly convBias: Tensor | undefined;
  /** `[dtRank, dInner]`: the rows of dt, without those of B and C. */
  readonly xProj: Tensor;
  /** `[dInner, dtRank]` */
  readonly dtProj: Tensor;
  /** `[dtRank]`: weight of dt's norm. */
  readonly dtNorm: Tensor | undefined;
  /** `[dInner]` */
  readonly dtBias: Tensor;
}

/**
 * Computes delta of a model, made by `lm.openSelection()`. It holds a copy of the weights that delta depends on, about
 * a third of all, read again from the checkpoint: a model does not give its weights to others.
 */
export class Selection {
  readonly #model: Model;
  readonly #layers: readonly DeltaWeights[];
  #disposed = false;

  /**
   * @internal Use `lm.openSelection()`.
   * @throws MambaError `invalid-file`, `unsupported`, and what the backend throws. After an error nothing is left on
   * it.
   */
  static async load(model: Model, { name, config, source }: Pick<Checkpoint, 'name' | 'config' | 'source'>) {
    const canonical = (given: ModelConfig): string => JSON.stringify(Object.entries(modelConfig(given)).sort());
    if (canonical(config) !== canonical(model.config))
      throw new MambaError('invalid-file', `${name} is not what it was when the model was loaded`, {
        origin: name,
        remedy: 'Load the model again.',
      });
    if (blocksOf(model.config, 'mamba').length === 0)
      throw new MambaError('unsupported', `${name} has no Mamba layer, and so no selection`, {
        origin: name,
        given: `blocks of ${[...new Set(model.config.blocks.map(({ kind }) => kind))].join(', ')}`,
        expected: 'a model with blocks of kind mamba',
      });
    if (model.config.norm === 'layer')
      throw new MambaError('unsupported', `the selection of ${name} cannot be shown`, {
        origin: name,
        given: 'a model with LayerNorm',
        expected: 'RMS norms before the blocks',
      });
    return new Selection(model, await loadWeights(model, source));
  }

  private constructor(model: Model, layers: readonly DeltaWeights[]) {
    this.#model = model;
    this.#layers = layers;
  }

  /**
   * The delta of every token of a sequence, in device memory that is constant in length.
   * @param prompt The ids of the sequence.
   * @throws MambaError `invalid-argument`, `disposed`, `aborted`, and what the backend throws. After an error nothing
   * is left on the backend.
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

  /** Frees its weights, but not the model. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const weights of this.#layers) for (const tensor of tensorsOf(weights)) tensor?.dispose();
  }

  /**
   * Computes and reads the values of all layers for one chunk.
   * @param inputs The hidden states; number i is the input of layer i. They are disposed.
   * @param windows The state of each layer's convolution, which is replaced.
   * @param take Receives, for each layer, the values before softplus `[1, tokens, dInner]`.
   */
  async #read(
    inputs: readonly Tensor[],
    windows: (Tensor | undefined)[],
    take: (layer: number, values: ArrayLike<number>) => void,
  ): Promise<void> {
    const made: Tensor[] = [...inputs];
    try {
      const projected = this.#layers.map((weights, index) => {
        const { logits, lastState } = this.#project(weights, inputs[weights.layer]!, windows[index]);
        made.push(logits);
        windows[index]?.dispose();
        windows[index] = lastState;
        return logits;
      });
      for (const [layer, logits] of projected.entries()) take(layer, await this.#model.backend.read(logits));
    } finally {
      for (const tensor of made) tensor.dispose();
    }
  }

  /**
   * `logits`: delta before softplus, `[1, tokens, dInner]`. `lastState`: the state of the convolution. Both are the
   * caller's to dispose.
   */
  #project(
    weights: DeltaWeights,
    input: Tensor,
    initialState: Tensor | undefined,
  ): { logits: Tensor; lastState: Tensor } {
    const { backend } = this.#model;
    const { normEps } = this.#model.config;
    const { mixerNormEps } = weights.block;
    return scoped((scope) => {
      const normed = scope.own(backend.rmsNorm(input, { weight: weights.norm, eps: normEps }));
      const inner = scope.own(backend.linear(normed, weights.inProj, weights.inProjBias));
      const conv = backend.causalConv1d(inner, weights.conv, weights.convBias, { activation: 'silu', initialState });
      const u = scope.own(conv.y);
      const lastState = scope.own(conv.lastState);
      let dt = scope.own(backend.linear(u, weights.xProj));
      if (mixerNormEps !== undefined)
        dt = scope.own(backend.rmsNorm(dt, { weight: weights.dtNorm, eps: mixerNormEps }));
      const logits = backend.linear(dt, weights.dtProj, weights.dtBias);
      return { logits, lastState: scope.release(lastState) };
    });
  }
}

async function loadWeights({ backend, config }: Model, source: ParameterSource): Promise<readonly DeltaWeights[]> {
  const scope = new Scope();
  const blocks = blocksOf(config, 'mamba');
  try {
    const layers = new Map(blocks.map(({ layer }) => [layer, {} as Record<string, Tensor>]));
    for (const parameter of modelParameters(config)) {
      const { layer } = parameter;
      const weights = layer === undefined ? undefined : layers.get(layer);
      if (weights === undefined) continue;
      const rows = rowsTaken(config.blocks[layer!] as BlockConfig<'mamba'>, parameter);
      if (rows === 0) continue;
      const host = firstRows(await source(parameter), rows);
      const role = parameter.role === 'matrix' ? ({ role: 'matrix' } as const) : {};
      weights[parameter.key.replace('block.', '')] = scope.own(backend.upload(host, role));
    }
    for (const weights of layers.values()) for (const tensor of Object.values(weights)) scope.release(tensor);
    return blocks.map(({ layer, block }) => ({ ...layers.get(layer)!, layer, block }) as unknown as DeltaWeights);
  } finally {
    scope.close();
  }
}

function tensorsOf({ layer: _, block: _config, ...tensors }: DeltaWeights): readonly (Tensor | undefined)[] {
  return Object.values(tensors);
}

/** Number of a parameter's first rows that delta depends on; 0 for none. */
function rowsTaken({ dInner, dtRank }: MambaConfig, { key, shape }: ParameterSpec): number {
  switch (key) {
    case 'block.inProj':
    case 'block.inProjBias':
      return dInner;
    case 'block.xProj':
      return dtRank;
    case 'norm':
    case 'block.conv':
    case 'block.convBias':
    case 'block.dtNorm':
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

/** The mean of softplus(x) = log(1 + exp(x)) over each row, in a form that neither overflows nor loses small values. */
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
