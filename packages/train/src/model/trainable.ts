import {
  type Backend,
  createModel,
  type HostTensor,
  type LayerWeights,
  MambaError,
  type Model,
  type ModelConfig,
  type ModelConfigLike,
  type ModelWeights,
  modelParameters,
  type ParameterSource,
  type ParameterSpec,
  type Support,
  type Tensor,
} from '@mamba/core';
import { assembleWeights, resolveModelConfig } from '@mamba/core/driver';
import { sameShape } from '@mamba/core/toolkit';
import { type Adapter, adapted, type LoraOptions, loraParameters, loraScale } from '../lora/lora.ts';
import { initialParameters } from './initialise.ts';

/** A parameter as it is trained. */
export interface TrainedParameter extends ParameterSpec {
  /** The values that are trained: of a parameter with the form `negative-exp`, the logarithm of its negative. */
  readonly tensor: Tensor;
  /** Whether it has a gradient. */
  readonly trained: boolean;
  /** Whether weight decay applies. */
  readonly decay: boolean;
  /** Whether the values that a model has are computed from those that are trained. */
  readonly derived: boolean;
}

/** Which parameters are trained, and from which values. */
export interface TrainableOptions {
  /** Adds low-rank adapters to matrices. Default: none. */
  readonly lora?: LoraOptions | undefined;
  /** The parameters that are trained. Default: the adapters where there are some, or else all. */
  readonly trained?: ((parameter: ParameterSpec) => boolean) | undefined;
  /**
   * The trained values of a parameter, where they are known: they replace the source's, as after a save, whose weights
   * may be rounded. Default: unknown.
   */
  readonly exact?: ((name: string) => Promise<HostTensor | undefined>) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A model on a backend whose parameters an optimiser writes to. */
export class TrainableModel {
  readonly backend: Backend;
  readonly config: ModelConfig;
  /** The parameters of the model, and then those of its adapters. */
  readonly parameters: readonly TrainedParameter[];
  /** The options of its adapters; undefined where it has none. */
  readonly lora: LoraOptions | undefined;
  /** The adapters, by the names of their matrices. */
  readonly adapters: ReadonlyMap<string, Adapter<TrainedParameter>>;
  readonly #byName: ReadonlyMap<string, TrainedParameter>;
  readonly #topWeights: Omit<ModelWeights<Tensor>, 'layers'>;
  readonly #layers: readonly LayerWeights<TrainedParameter>[];

  private constructor(
    backend: Backend,
    config: ModelConfig,
    parameters: readonly TrainedParameter[],
    adapters: ReadonlyMap<string, Adapter<ParameterSpec>>,
    lora: LoraOptions | undefined,
  ) {
    this.backend = backend;
    this.config = config;
    this.parameters = parameters;
    this.lora = lora;
    this.#byName = new Map(parameters.map((parameter) => [parameter.name, parameter]));
    const own = ({ name }: ParameterSpec): TrainedParameter => this.parameter(name);
    this.adapters = new Map([...adapters].map(([name, { a, b }]) => [name, { a: own(a), b: own(b) }]));
    this.#topWeights = assembleWeights(config, (name) => this.parameter(name).tensor);
    this.#layers = assembleWeights(config, (name) => this.parameter(name)).layers;
  }

  /**
   * Uploads the parameters of a source: `initialParameters` for a new model, or those of a checkpoint. Matrices are
   * stored row by row in the precision of the backend, which is the layout of their gradients.
   * @throws MambaError `unsupported` where the backend cannot train, `invalid-argument` where a value has no trained
   * form or a shape is wrong, `out-of-memory`, `aborted`, and any error of the source. What was uploaded is freed then.
   */
  static async create(
    backend: Backend,
    given: ModelConfigLike,
    source: ParameterSource,
    { lora, trained, exact = async () => undefined, signal }: TrainableOptions = {},
  ): Promise<TrainableModel> {
    const config = resolveModelConfig('TrainableModel.create.config', given);
    checkTrains(backend);
    const specs = modelParameters(config);
    const adapters = lora === undefined ? new Map<string, Adapter<ParameterSpec>>() : loraParameters(specs, lora);
    const factors = [...adapters.values()].flatMap(({ a, b }) => [a, b]);
    const drawn = initialParameters(config, { seed: lora?.seed ?? 0 });
    const parameters: TrainedParameter[] = [];
    try {
      for (const spec of [...specs, ...factors]) {
        if (signal?.aborted)
          throw new MambaError('aborted', 'loading was aborted', { origin: spec.name, cause: signal.reason });
        const isFactor = factors.includes(spec);
        const saved = await exact(spec.name);
        const host = saved ?? (await (isFactor ? drawn : source)(spec));
        if (!sameShape(host.shape, spec.shape))
          throw new MambaError('invalid-argument', `parameter ${spec.name} has the wrong shape`, {
            origin: spec.name,
            given: `[${host.shape.join(', ')}]`,
            expected: `[${spec.shape.join(', ')}]`,
          });
        parameters.push({
          ...spec,
          tensor: backend.upload(saved ?? trainedForm(spec, host)),
          trained: trained?.(spec) ?? (isFactor || lora === undefined),
          decay: spec.training?.decay ?? spec.role === 'matrix',
          derived: spec.training?.form !== undefined || isFactor || adapters.has(spec.name),
        });
      }
      return new TrainableModel(backend, config, parameters, adapters, lora);
    } catch (error) {
      for (const { tensor } of parameters) tensor.dispose();
      throw error;
    }
  }

  /**
   * The parameter of this name, which is one of `parameters`.
   * @throws MambaError `invalid-argument` where there is none.
   */
  parameter(name: string): TrainedParameter {
    const parameter = this.#byName.get(name);
    if (parameter === undefined)
      throw new MambaError('invalid-argument', `the model has no parameter ${name}`, {
        origin: 'TrainableModel.parameter',
        given: name,
        expected: `one of its ${this.parameters.length} names, such as ${this.parameters[0]?.name}`,
        remedy: 'The names are those of `parameters`.',
      });
    return parameter;
  }

  /** The tensors that have gradients. */
  leaves(): readonly Tensor[] {
    return this.parameters.flatMap(({ tensor, trained }) => (trained ? [tensor] : []));
  }

  /** The weights outside the layers. They are the parameters themselves. */
  topWeights(): Omit<ModelWeights<Tensor>, 'layers'> {
    return this.#topWeights;
  }

  /**
   * The weights of a layer, as blocks take them. Those that are computed from what is trained are computed by this
   * backend, which may record it, and the caller disposes them.
   */
  layerWeights(
    backend: Backend,
    layer: number,
  ): {
    readonly weights: LayerWeights<Tensor>;
    /** Frees those that were computed. */
    dispose(): void;
  } {
    const computed: Tensor[] = [];
    const weights = this.#layers[layer]!;
    const tensorOf = (parameter: TrainedParameter): Tensor => {
      const value = this.#computed(backend, parameter);
      if (value === undefined) return parameter.tensor;
      computed.push(value);
      return value;
    };
    const block = Object.fromEntries(
      Object.entries(weights.block).map(([key, parameter]) => [key, parameter && tensorOf(parameter)]),
    );
    return {
      weights: {
        norm: tensorOf(weights.norm),
        ...(weights.normBias && { normBias: tensorOf(weights.normBias) }),
        block,
      },
      dispose() {
        for (const tensor of computed) tensor.dispose();
      },
    };
  }

  /** Reads the parameters one by one, in the form that models and checkpoints have: a source for `createModel`. */
  source(): ParameterSource {
    return async ({ name }) => {
      const parameter = this.parameter(name);
      const { shape } = parameter;
      // In float64, also where the backend computes in float32.
      if (parameter.training?.form === 'negative-exp') {
        const data = await this.backend.read(parameter.tensor);
        return { dtype: 'float64', shape, data: Float64Array.from(data, (value) => -Math.exp(value)) };
      }
      const merged = this.#computed(this.backend, parameter);
      try {
        const data = await this.backend.read(merged ?? parameter.tensor);
        return data instanceof Float64Array
          ? { dtype: 'float64', shape, data }
          : { dtype: 'float32', shape, data: data as Float32Array };
      } finally {
        merged?.dispose();
      }
    };
  }

  /** A model of the present parameters, on this backend or another, with its fused forms. The caller disposes it. */
  async model(backend: Backend = this.backend): Promise<Model> {
    return createModel(backend, this.config, this.source());
  }

  /** Frees all parameters. */
  dispose(): void {
    for (const { tensor } of this.parameters) tensor.dispose();
  }

  /** The values that a model has of a parameter, where they are computed from what is trained; undefined elsewhere. */
  #computed(backend: Backend, { name, tensor, training }: TrainedParameter): Tensor | undefined {
    if (training?.form !== undefined) return backend.multiply(tensor, undefined, { activation: 'exp', scale: -1 });
    const adapter = this.adapters.get(name);
    if (adapter === undefined) return undefined;
    return adapted(backend, tensor, { a: adapter.a.tensor, b: adapter.b.tensor }, loraScale(this.lora!));
  }
}

/** The values that are trained, from those of the parameter. */
function trainedForm({ name, training }: ParameterSpec, host: HostTensor): HostTensor {
  if (training?.form === undefined) return host;
  if (host.dtype !== 'float32' && host.dtype !== 'float64')
    throw new MambaError('invalid-argument', `parameter ${name} has no trained form`, {
      origin: name,
      given: host.dtype,
      expected: 'float32 or float64',
    });
  const positive = host.data.find((value) => !(value < 0));
  if (positive !== undefined)
    throw new MambaError('invalid-argument', `parameter ${name} has no trained form`, {
      origin: name,
      given: String(positive),
      expected: 'values below 0, since the logarithm of the negative is trained',
    });
  return { dtype: 'float64', shape: host.shape, data: Float64Array.from(host.data, (value) => Math.log(-value)) };
}

/** Whether a backend has what only training needs. */
export function trainingSupport(backend: Backend): Support {
  const one = { shape: [1], dtype: backend.precision };
  return backend.supports('adamw', one, one, { first: one, second: one }, { learningRate: 1, step: 1 });
}

function checkTrains(backend: Backend): void {
  const support = trainingSupport(backend);
  if (!support.supported)
    throw new MambaError('unsupported', `${backend.name} cannot train: ${support.reason}`, {
      origin: 'TrainableModel.create',
      remedy: 'Take a backend that has the training operations: @mamba/cpu, @mamba/webgpu or @mamba/reference.',
    });
}
