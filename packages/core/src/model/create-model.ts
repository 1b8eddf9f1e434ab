import { fusionOf } from '../backend/fusion.ts';
import { disposeAll } from '../backend/scope.ts';
import { blockDefinition } from '../blocks/kinds.ts';
import type { Backend } from '../contract/backend.ts';
import { invalid, MambaError } from '../contract/errors.ts';
import { type DType, type HostRows, type HostTensor, sameShape, type Tensor } from '../contract/tensor.ts';
import { checkOptions, describe } from '../operations/check.ts';
import { checkFits } from '../tensor/fits.ts';
import { composeModel } from './compose.ts';
import { type ModelConfigLike, resolveModelConfig } from './config.ts';
import type { ParameterSource, ParameterSpec } from './contract.ts';
import { checkIsBackend, checkModelFits } from './fits.ts';
import { Model } from './model.ts';
import { assembleWeights, modelParameters } from './parameters.ts';

/** How `createModel` loads a model. */
export interface CreateModelOptions {
  /**
   * The dtype that matrices are stored in. Default: the backend's precision, which all other parameters always have.
   */
  readonly weights?: DType | undefined;
  /** Called after each parameter, with the number of parameters loaded and their total. */
  readonly onProgress?: ((loaded: number, total: number) => void) | undefined;
  /** Stops loading. What was uploaded is freed then. */
  readonly signal?: AbortSignal | undefined;
  /** Composes the model of operations, without the backend's fused forms, to compare with those. Default false. */
  readonly composed?: boolean | undefined;
}

const REMEDY = 'Pass the `source` of a checkpoint that is open, or the parameters that were drawn.';

/**
 * Creates a model and uploads it parameter by parameter. One parameter at a time is in host memory, and only some rows
 * of a matrix where both source and backend can read by rows. Before it reads anything, it checks that the backend can
 * hold the model.
 * @throws MambaError `invalid-argument` (config, a source that is no function, a parameter of the wrong shape, or one
 * whose values the dtype cannot hold: beyond float16, or not finite in q8 and q4), `unsupported` (the dtype),
 * `out-of-memory`, `aborted`, and any error that `source` throws. Everything that was uploaded is freed then.
 */
export async function createModel(
  backend: Backend,
  given: ModelConfigLike,
  source: ParameterSource,
  options: CreateModelOptions = {},
): Promise<Model> {
  checkIsBackend(backend);
  const config = resolveModelConfig('createModel.config', given);
  if (typeof source !== 'function')
    throw invalid(
      'createModel.source',
      `a value of type ${typeof source}`,
      'a function that gives a parameter',
      REMEDY,
    );
  checkOptions('createModel', options, ['weights', 'onProgress', 'signal', 'composed']);
  const { weights: dtype = backend.precision, onProgress, signal, composed = false } = options;
  // This check reads no parameter.
  checkModelFits(backend, config, dtype);
  const parameters = modelParameters(config);
  const uploaded = new Map<string, Tensor>();
  try {
    for (const parameter of parameters) {
      if (signal?.aborted)
        throw new MambaError('aborted', 'loading was aborted', { origin: 'createModel', cause: signal.reason });
      uploaded.set(parameter.name, await load(backend, source, parameter, dtype, signal));
      if (!composed) joinMatrices(backend, parameter, uploaded);
      onProgress?.(uploaded.size, parameters.length);
    }
    const weights = assembleWeights(config, (name) => uploaded.get(name)!);
    const fused = composed ? undefined : fusionOf(backend)?.model(config, weights);
    const kernel = fused ?? composeModel(backend, config, weights, { fusedBlocks: !composed });
    try {
      await kernel.warm?.();
    } catch (error) {
      kernel.dispose();
      throw error;
    }
    return new Model(backend, config, kernel, [...uploaded.values()]);
  } catch (error) {
    disposeAll(uploaded.values());
    throw error;
  }
}

/**
 * Uploads one parameter. This is a separate function so that the host's values can be freed when it returns, before the
 * next parameter is read.
 */
async function load(
  backend: Backend,
  source: ParameterSource,
  parameter: ParameterSpec,
  dtype: DType,
  signal: AbortSignal | undefined,
): Promise<Tensor> {
  if (parameter.role !== 'matrix')
    return backend.upload(fitting(parameter, await source(parameter), backend.precision));
  const rows = await source.rows?.(parameter);
  if (rows !== undefined)
    return backend.uploadRows(fittingRows(parameter, checked(parameter, rows), dtype), {
      dtype,
      role: 'matrix',
      signal,
    });
  return backend.upload(fitting(parameter, await source(parameter), dtype), { dtype, role: 'matrix' });
}

/**
 * Lets the backend store the group of matrices that this parameter completes as one matrix. This happens here, where
 * nobody else knows the tensors yet, and as soon as possible, so that one group at a time is held twice.
 */
function joinMatrices(backend: Backend, parameter: ParameterSpec, uploaded: Map<string, Tensor>): void {
  if (parameter.kind === undefined) return;
  const { joined = [] } = blockDefinition('createModel.config.blocks', parameter.kind);
  for (const group of joined) {
    if (parameter.key !== `block.${group.at(-1)}`) continue;
    const names = group.map((key) => `layers.${parameter.layer}.block.${key}`);
    const matrices = names.map((name) => uploaded.get(name));
    if (!matrices.every((matrix) => matrix !== undefined)) continue;
    const together = fusionOf(backend)?.join(matrices);
    if (together === undefined) continue;
    for (const [index, name] of names.entries()) uploaded.set(name, together[index]!);
    disposeAll(matrices);
  }
}

function fitting(parameter: ParameterSpec, host: HostTensor, dtype: DType): HostTensor {
  checkFits(parameter.name, checked(parameter, host), dtype);
  return host;
}

/** The rows with a check of each piece as it is read. The upload itself refuses pieces of a wrong shape. */
function fittingRows({ name, shape }: ParameterSpec, host: HostRows, dtype: DType): HostRows {
  return {
    ...host,
    async rows(first, count) {
      const slab = await host.rows(first, count);
      if (Array.isArray(slab?.shape) && sameShape(slab.shape, [count, ...shape.slice(1)]))
        checkFits(name, slab, dtype, { first });
      return slab;
    },
  };
}

function checked<T extends HostTensor | HostRows>(parameter: ParameterSpec, host: T): T {
  if (!Array.isArray(host?.shape) || !sameShape(host.shape, parameter.shape)) {
    throw new MambaError('invalid-argument', `parameter ${parameter.name} has the wrong shape`, {
      origin: parameter.name,
      given: Array.isArray(host?.shape) ? describe(host) : String(host),
      expected: `[${parameter.shape.join(', ')}]`,
    });
  }
  return host;
}
