import {
  createModel,
  type DType,
  type LogitsRequest,
  type ModelConfig,
  type ParameterSource,
  type ParameterSpec,
  type Tensor,
} from '@mamba/core';
import { kindInputs } from '../blocks/inputs.ts';
import { Random } from '../random.ts';
import { blockSizes } from './block.ts';
import { type Case, type Outputs, type Sizes, type Tolerance, uploadInputs } from './case.ts';
import { integers, resetMarks } from './host.ts';
import { seededWeights } from './weights.ts';

/** A model, the tokens that it is run on, and what is compared. */
export interface ModelCaseOptions {
  readonly config: ModelConfig;
  readonly batch: number;
  readonly length: number;
  /** Default `all`. */
  readonly logits?: LogitsRequest | undefined;
  /** Default true. */
  readonly hiddenStates?: boolean | undefined;
  readonly resets?: boolean | undefined;
  /** Number of tokens that are computed at once. Default: the model's. */
  readonly chunk?: number | undefined;
  /** The dtype that matrices are stored in. Default: the backend's precision. */
  readonly weights?: DType | undefined;
  /** Composes the model of operations instead of using a fused form. Default false. */
  readonly composed?: boolean | undefined;
  /**
   * A factor of the embedding and of the matrices of `KindInputs.scalable`, whose results are normalised. Default 1.
   */
  readonly magnitude?: number | undefined;
  /** Called after each parameter, with the number of parameters loaded and their total. */
  readonly onProgress?: ((loaded: number, total: number) => void) | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
}

/**
 * A model with seeded weights, which are made one tensor at a time. Its results are the logits, and the hidden states
 * if they are asked for; each run frees its state. Errors are relative to the largest logit, since the logits of a
 * random model are small.
 */
export function modelCase(options: ModelCaseOptions): Case {
  const { config, batch, length, hiddenStates = true, logits = 'all', resets = false, chunk } = options;
  const { magnitude = 1, seed = 1 } = options;
  return {
    id: `model/${options.id ?? `b${batch}-l${length}-d${config.dModel}-layers${config.blocks.length}`}`,
    operation: 'model',
    seed,
    sizes: { ...modelSizes(config), batch, length, resets, magnitude },
    tolerance: MODEL,
    optional: false,
    supports: () => ({ supported: true }),
    async prepare(backend) {
      const model = await createModel(backend, config, magnified(config, seededWeights(config, seed), magnitude), {
        weights: options.weights,
        composed: options.composed,
        onProgress: options.onProgress,
      });
      const random = new Random(seed);
      const tensors = uploadInputs(backend, {
        ids: { host: integers([batch, length], () => random.integer(config.vocabSize)) },
        ...(resets && { resets: { host: resetMarks(random, batch, length) } }),
      });
      return {
        run() {
          const result = model.forward(tensors.ids!, { resets: tensors.resets, logits, hiddenStates, chunk });
          result.state.dispose();
          const outputs: Record<string, Tensor> = {};
          if (result.logits) outputs.logits = result.logits;
          for (const [index, tensor] of (result.hiddenStates ?? []).entries()) outputs[`hidden.${index}`] = tensor;
          return outputs satisfies Outputs;
        },
        dispose() {
          for (const tensor of Object.values(tensors)) tensor.dispose();
          model.dispose();
        },
      };
    },
  };
}

/** The bound of the results of a whole model. */
export const MODEL: Tolerance = {
  relative: 5e-5,
  reason: 'as for the logits of checkpoints: rounding of every layer adds to the residual',
};

/** The sizes of a model as a case reports them. The sizes of a block are those of the first block. */
function modelSizes({ blocks, dModel, vocabSize, normEps, tiedHead }: ModelConfig): Sizes {
  const kinds = [...new Set(blocks.map(({ kind }) => kind))].join(', ');
  return { ...blockSizes(blocks[0]!), kinds, layers: blocks.length, dModel, vocabSize, normEps, tiedHead };
}

/** The weights, with the embedding and the scalable matrices of each kind multiplied by a factor. */
function magnified({ blocks }: ModelConfig, source: ParameterSource, factor: number): ParameterSource {
  if (factor === 1) return source;
  const scalable = ({ key, layer }: ParameterSpec): boolean => {
    if (layer === undefined) return key === 'embedding';
    return kindInputs(blocks[layer]!.kind).scalable?.some((name) => key === `block.${name}`) ?? false;
  };
  return async (parameter) => {
    const host = await source(parameter);
    if (!scalable(parameter)) return host;
    return { dtype: 'float32', shape: host.shape, data: Float32Array.from(host.data, (value) => value * factor) };
  };
}
