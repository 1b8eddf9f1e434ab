import type { Backend, HostTensor, ModelConfig, ParameterSource, ParameterSpec, Tensor } from '@mamba/core';
import { modelParameters } from '@mamba/core';
import { Scope, scoped } from '@mamba/core/driver';

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

/** Tokens computed at once: bounds the memory of activations. */
const CHUNK = 128;

/** Computes delta from the inputs of a model's layers, on the backend's operations. Holds its own copy of the weights that it takes, about a third of the model. */
export class Deltas {
  readonly #backend: Backend;
  readonly #config: ModelConfig;
  readonly #layers: readonly DeltaWeights[];

  /** Uploads the weights, tensor by tensor. Where that fails, nothing stays. */
  static async load(backend: Backend, config: ModelConfig, source: ParameterSource): Promise<Deltas> {
    const scope = new Scope();
    try {
      const layers = Array.from({ length: config.layers }, (): Record<string, Tensor> => ({}));
      for (const parameter of modelParameters(config)) {
        const rows = rowsTaken(config, parameter);
        if (parameter.layer === undefined || rows === 0) continue;
        const host = firstRows(await source(parameter), rows);
        const role = parameter.role === 'matrix' ? ({ role: 'matrix' } as const) : {};
        const name = parameter.key.replace('block.', '');
        layers[parameter.layer]![name] = scope.own(backend.upload(host, role));
      }
      const deltas = new Deltas(backend, config, layers as unknown as readonly DeltaWeights[]);
      for (const layer of layers) for (const tensor of Object.values(layer)) scope.release(tensor);
      return deltas;
    } finally {
      scope.close();
    }
  }

  private constructor(backend: Backend, config: ModelConfig, layers: readonly DeltaWeights[]) {
    this.#backend = backend;
    this.#config = config;
    this.#layers = layers;
  }

  /** `inputs`: of each layer, the residual that goes into its norm, `[tokens, dModel]`, from the beginning of a sequence. */
  async of(inputs: readonly (Float32Array | Float64Array)[]): Promise<DeltaMap> {
    const tokens = inputs[0]!.length / this.#config.dModel;
    const layers: Float32Array[] = [];
    for (const [layer, weights] of this.#layers.entries())
      layers.push(await this.#layer(weights, inputs[layer]!, tokens));
    return { tokens, layers };
  }

  dispose(): void {
    for (const weights of this.#layers) for (const tensor of Object.values(weights)) tensor?.dispose();
  }

  async #layer(weights: DeltaWeights, input: Float32Array | Float64Array, tokens: number): Promise<Float32Array> {
    const { dModel } = this.#config;
    const means = new Float32Array(tokens);
    let convState: Tensor | undefined;
    try {
      for (let start = 0; start < tokens; start += CHUNK) {
        const end = Math.min(start + CHUNK, tokens);
        const { logits, lastState } = this.#project(weights, input.subarray(start * dModel, end * dModel), convState);
        convState?.dispose();
        convState = lastState;
        try {
          means.set(meanSoftplus(await this.#backend.read(logits), end - start), start);
        } finally {
          logits.dispose();
        }
      }
    } finally {
      convState?.dispose();
    }
    return means;
  }

  /** What softplus makes into delta, `[1, length, dInner]`; and the convolution's state. */
  #project(
    weights: DeltaWeights,
    rows: Float32Array | Float64Array,
    initialState: Tensor | undefined,
  ): { logits: Tensor; lastState: Tensor } {
    const backend = this.#backend;
    const { dModel, normEps, mixerNormEps } = this.#config;
    return scoped((scope) => {
      const x = scope.own(backend.upload(host([1, rows.length / dModel, dModel], rows)));
      const normed = scope.own(backend.rmsNorm(x, { weight: weights.norm, eps: normEps }));
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

function host(shape: readonly number[], data: Float32Array | Float64Array): HostTensor {
  return data instanceof Float64Array ? { dtype: 'float64', shape, data } : { dtype: 'float32', shape, data };
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
