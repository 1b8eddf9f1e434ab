import type { AttentionOptions, Backend, HostTensor, Tensor, TensorSpec } from '@mamba/core';
import { Random } from '../random.ts';
import {
  type Inputs,
  type Named,
  type OperationCase,
  type OperationCaseDefinition,
  type Outputs,
  operationCase,
  type Tolerance,
} from './case.ts';
import { floats, integers, normals } from './host.ts';

/** Sizes and options of a case of `attention` and of its gradients. */
export interface AttentionCaseOptions
  extends Pick<AttentionOptions<never>, 'causal' | 'window' | 'globalTokens' | 'scale' | 'softcap' | 'offset'> {
  readonly batch: number;
  readonly queries: number;
  /** Default: as many as queries. */
  readonly keys?: number | undefined;
  readonly heads: number;
  /** Default: as many as heads. */
  readonly kvHeads?: number | undefined;
  readonly headDim: number;
  /** Whether heads are flattened, as `[batch, length, heads * headDim]`. Default false. */
  readonly flat?: boolean | undefined;
  /** The segment of each key, the same for every row. Default: none. */
  readonly segments?: ((key: number) => number) | undefined;
  readonly keyLengths?: readonly number[] | undefined;
  readonly offsets?: readonly number[] | undefined;
  /** The reach of each query, the same for every row. Default: none. */
  readonly reach?: ((query: number) => number) | undefined;
  /** The standard deviation of q. Default 1. */
  readonly deviation?: number | undefined;
  /** Default: that of float32. */
  readonly tolerance?: Tolerance | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
  /** Changes the inputs after they were made, for example to insert a NaN. */
  readonly edit?: ((inputs: Record<string, HostTensor>) => void) | undefined;
}

/** The bound of softmax-weighted sums of float32 values. */
const ATTENTION: Tolerance = {
  relative: 1e-5,
  reason: 'float32 rounding of scores, whose error exp takes as a relative one, and of sums in any order',
};

/** The bound of its gradients, where two rounded terms are subtracted. */
export const ATTENTION_BACKWARD: Tolerance = {
  relative: 2e-5,
  reason: 'the rounding of the forward pass, and that of dy · v - Δ, which cancels',
};

/** Attention of seeded queries, keys and values. */
export function attentionCase(options: AttentionCaseOptions): OperationCase<'attention'> {
  return operationCase({
    ...definition('attention', options),
    tolerance: options.tolerance ?? ATTENTION,
    build: () => build(options),
    arguments: ({ q, k, v, ...tensors }) => [q, k, v, callOptions(options, tensors)],
  });
}

/** The gradients, given the results of the backend's own forward call. */
export function attentionBackwardCase(options: AttentionCaseOptions): OperationCase<'attentionBackward'> {
  const { seed = 1 } = options;
  // Where only specs are asked for, the cotangents stand for the results: they have the same shapes.
  const inputs = <T extends TensorSpec>({ q, k, v, dy, dLogSumExp, ...tensors }: Named<T>): unknown[] => [
    ...[q, k, v, callOptions(options, tensors)],
    { y: dy, logSumExp: dLogSumExp },
    { y: dy, logSumExp: dLogSumExp },
  ];
  return operationCase({
    ...definition('attentionBackward', options),
    tolerance: options.tolerance ?? ATTENTION_BACKWARD,
    build() {
      const random = new Random(seed + 1);
      const { batch, queries, heads } = options;
      const forward = build(options);
      return {
        ...forward,
        dy: { host: normals(random, forward.q!.host.shape) },
        dLogSumExp: { host: normals(random, [batch, queries, heads]) },
      };
    },
    arguments: inputs,
    call(backend: Backend, tensors: Named<Tensor>): Outputs {
      const { q, k, v, dy, dLogSumExp, ...rest } = tensors as Record<string, Tensor>;
      const how = callOptions(options, rest);
      const results = backend.attention(q!, k!, v!, how);
      try {
        const gradients = backend.attentionBackward(q!, k!, v!, how, results, { y: dy!, logSumExp: dLogSumExp });
        return { ...gradients };
      } finally {
        results.y.dispose();
        results.logSumExp.dispose();
      }
    },
  });
}

function definition<K extends 'attention' | 'attentionBackward'>(
  operation: K,
  options: AttentionCaseOptions,
): Pick<OperationCaseDefinition<K>, 'operation' | 'id' | 'seed' | 'sizes' | 'optional'> {
  const { batch, queries, keys = queries, heads, kvHeads = heads, headDim, seed = 1 } = options;
  const { causal = true, window = 'none', softcap = 'none', flat = false } = options;
  const name = options.id ?? `q${queries}-k${keys}-h${heads}x${kvHeads}-d${headDim}`;
  return {
    operation,
    id: `${operation === 'attention' ? 'attention' : 'attention-backward'}/${name}`,
    seed,
    sizes: { batch, queries, keys, heads, kvHeads, headDim, causal, window, softcap, flat },
    optional: true,
  };
}

function callOptions<T>(
  { headDim, flat, causal, window, globalTokens, scale, softcap, offset }: AttentionCaseOptions,
  { segments, keyLengths, offsets, reach }: Named<T>,
): AttentionOptions<T> {
  return {
    ...{ causal, window, globalTokens, scale, softcap, offset },
    ...{ segments, keyLengths, offsets, reach },
    headDim: flat ? headDim : undefined,
  };
}

function build(options: AttentionCaseOptions): Inputs {
  const { batch, queries, keys = queries, heads, kvHeads = heads, headDim, flat = false } = options;
  const { deviation = 1, seed = 1, segments, keyLengths, offsets, reach } = options;
  const random = new Random(seed);
  const shape = (length: number, count: number) =>
    flat ? [batch, length, count * headDim] : [batch, length, count, headDim];
  const all: Record<string, HostTensor> = {
    q: normals(random, shape(queries, heads), deviation),
    k: normals(random, shape(keys, kvHeads)),
    v: normals(random, shape(keys, kvHeads)),
    ...(segments && { segments: integers([batch, keys], (index) => segments(index % keys)) }),
    ...(keyLengths && { keyLengths: integers([batch], (index) => keyLengths[index]!) }),
    ...(offsets && { offsets: integers([batch], (index) => offsets[index]!) }),
    ...(reach && { reach: floats([batch, queries, 1], (index) => reach(index % queries)) }),
  };
  options.edit?.(all);
  return Object.fromEntries(Object.entries(all).map(([name, host]) => [name, { host }]));
}
