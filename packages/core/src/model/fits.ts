import type { Backend, BackendProvider } from '../contract/backend.ts';
import { invalid, MambaError } from '../contract/errors.ts';
import { type DType, sizeOf } from '../contract/tensor.ts';
import { MAX_ELEMENTS } from '../operations/check.ts';
import { type ModelConfigLike, resolveModelConfig } from './config.ts';
import type { ParameterSpec } from './contract.ts';
import { modelParameters } from './parameters.ts';

/**
 * Checks from the config alone that a backend can hold a model: that it can store every matrix in this dtype, and that
 * all weights fit into its memory, where the backend knows its limit.
 * @param weights Dtype of the matrices. Default: the backend's precision.
 * @throws MambaError `invalid-argument` (what is no backend, or the config), `unsupported` and `out-of-memory`. The
 * last two name a dtype that fits, if there is one.
 */
export function checkModelFits(backend: Backend, config: ModelConfigLike, weights?: DType): void {
  checkIsBackend(backend);
  checkParametersFit(backend, config, weights ?? backend.precision);
}

/** Refuses what is passed in place of a backend by an easy slip. @throws MambaError `invalid-argument` */
export function checkIsBackend(value: unknown): void {
  const { memory, create, then } = (value ?? {}) as Partial<Backend & BackendProvider & Promise<Backend>>;
  if (typeof memory === 'function') return;
  const [given, remedy] =
    typeof create === 'function'
      ? ['a provider', 'Write await cpu().create() where cpu() stands, or pass what selectBackend gives.']
      : typeof then === 'function'
        ? ['a promise', 'Write await before it.']
        : [String(value), 'Make one: await cpu().create().'];
  throw invalid('createModel.backend', given, 'a backend', remedy);
}

function checkParametersFit(backend: Backend, config: ModelConfigLike, weights: DType): void {
  const parameters = modelParameters(resolveModelConfig('checkModelFits.config', config));
  checkMemory(backend, parameters, weights);
  const reason = refusal(backend, parameters, weights);
  if (reason === undefined) return;
  const others = DTYPES.filter((dtype) => refusal(backend, parameters, dtype) === undefined);
  throw new MambaError('unsupported', `${backend.name} cannot store the model: ${reason}`, {
    origin: 'createModel.weights',
    given: weights,
    expected: others.length > 0 ? others.join(' or ') : undefined,
    remedy: others.length > 0 ? undefined : 'Take another backend.',
  });
}

function checkMemory(backend: Backend, parameters: readonly ParameterSpec[], weights: DType): void {
  const { limit, bytes: used } = backend.memory();
  if (limit === undefined) return;
  const needed = weightBytes(backend, parameters, weights);
  if (needed <= limit - used) return;
  throw new MambaError('out-of-memory', `the model does not fit into the memory of ${backend.name}`, {
    origin: 'createModel.weights',
    given: `${amount(needed)} of weights in ${weights}`,
    expected: `at most ${amount(limit - used)}${used > 0 ? `, since ${amount(used)} of ${amount(limit)} are in use` : ''}`,
    remedy: advice(backend, parameters, limit - used),
  });
}

/** Dtypes of matrices, from the widest to the narrowest. */
const DTYPES: readonly DType[] = ['float64', 'float32', 'float16', 'bfloat16', 'q8', 'q4'];

/** Bytes of one element of a matrix. Quantised elements come in blocks of 32 that share a scale of two bytes. */
export const BYTES_PER_WEIGHT: Readonly<Record<DType, number>> = {
  float64: 8,
  float32: 4,
  int32: 4,
  float16: 2,
  bfloat16: 2,
  q8: 34 / 32,
  q4: 18 / 32,
};

/** The reason why some matrix cannot be stored in this dtype. Each distinct shape is asked for once. */
function refusal(backend: Backend, parameters: readonly ParameterSpec[], dtype: DType): string | undefined {
  const asked = new Set<string>();
  for (const { role, shape } of parameters) {
    if (role !== 'matrix' || asked.has(String(shape))) continue;
    asked.add(String(shape));
    if (sizeOf(shape) > MAX_ELEMENTS) return `a matrix [${shape.join(', ')}] is larger than any can be`;
    const support = backend.supportsUpload({ dtype: backend.precision, shape }, { dtype, role });
    if (!support.supported) return support.reason;
  }
  return undefined;
}

/** The least number of bytes that all weights take; a backend may add padding. */
function weightBytes(backend: Backend, parameters: readonly ParameterSpec[], dtype: DType): number {
  return parameters.reduce(
    (sum, { role, shape }) => sum + sizeOf(shape) * BYTES_PER_WEIGHT[role === 'matrix' ? dtype : backend.precision],
    0,
  );
}

/** Names a dtype that leaves room for padding, activations and states as well. */
function advice(backend: Backend, parameters: readonly ParameterSpec[], available: number): string {
  const room = available * (1 - 1 / 16);
  const dtype = DTYPES.find(
    (other) => weightBytes(backend, parameters, other) <= room && refusal(backend, parameters, other) === undefined,
  );
  if (dtype === undefined) return 'Take another backend, or a smaller model.';
  return `Load it with weights: '${dtype}', which takes ${amount(weightBytes(backend, parameters, dtype))}.`;
}

function amount(bytes: number): string {
  const [divisor, unit] = bytes >= 2 ** 30 ? [2 ** 30, 'GiB'] : bytes >= 2 ** 20 ? [2 ** 20, 'MiB'] : [1, 'bytes'];
  return `${divisor === 1 ? Math.ceil(bytes) : (bytes / divisor).toFixed(1)} ${unit}`;
}
