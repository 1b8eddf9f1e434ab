import type { ConvActivation, HostTensor } from '@mamba/core';
import { Random } from '../random.ts';
import { type Inputs, type Named, type OperationCase, operationCase, ROUNDING, type Tolerance } from './case.ts';
import { normals, resetMarks } from './host.ts';

/** Sizes and options of a case of `causalConv1d`: x `[batch, length, dim]`. */
export interface CausalConv1dCaseOptions {
  readonly batch: number;
  readonly length: number;
  readonly dim: number;
  /** Default 4. */
  readonly width?: number | undefined;
  /** Default true. */
  readonly bias?: boolean | undefined;
  /** Default `silu`, as in the block. */
  readonly activation?: ConvActivation | undefined;
  readonly initialState?: boolean | undefined;
  readonly resets?: boolean | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
  readonly tolerance?: Tolerance | undefined;
  /** Changes the inputs after they were made, for example to insert a NaN. */
  readonly edit?: ((inputs: Record<string, HostTensor>) => void) | undefined;
}

/** A causal convolution of seeded inputs. The defaults are those of a Mamba block. */
export function causalConv1dCase(options: CausalConv1dCaseOptions): OperationCase<'causalConv1d'> {
  const resolved = resolve(options);
  return operationCase({
    operation: 'causalConv1d',
    id: `causal-conv1d/${resolved.id}`,
    seed: resolved.seed,
    sizes: sizes(resolved),
    tolerance: resolved.tolerance,
    build: () => build(resolved),
    arguments: (tensors) => convArguments(resolved, tensors),
  });
}

/** The gradients of all inputs of a causal convolution. */
export function causalConv1dBackwardCase(options: CausalConv1dCaseOptions): OperationCase<'causalConv1dBackward'> {
  const resolved = resolve(options);
  const { batch, length, dim, width, seed } = resolved;
  return operationCase({
    operation: 'causalConv1dBackward',
    optional: true,
    id: `causal-conv1d-backward/${resolved.id}`,
    seed,
    sizes: sizes(resolved),
    tolerance: resolved.tolerance,
    build() {
      const random = new Random(seed + 1);
      return {
        ...build(resolved),
        dy: { host: normals(random, [batch, length, dim]) },
        dLastState: { host: normals(random, [batch, dim, width - 1]) },
      };
    },
    arguments: (tensors) => [...convArguments(resolved, tensors), { y: tensors.dy, lastState: tensors.dLastState }],
  });
}

type Resolved = ReturnType<typeof resolve>;

function resolve(options: CausalConv1dCaseOptions) {
  const { batch, length, dim, width = 4 } = options;
  return {
    batch,
    length,
    dim,
    width,
    id: options.id ?? `b${batch}-l${length}-d${dim}-w${width}`,
    seed: options.seed ?? 1,
    tolerance: options.tolerance ?? ROUNDING,
    bias: options.bias ?? true,
    activation: options.activation ?? ('silu' as ConvActivation),
    initialState: options.initialState ?? false,
    resets: options.resets ?? false,
    edit: options.edit,
  };
}

function sizes({ id: _id, seed: _seed, tolerance: _tolerance, edit: _edit, ...rest }: Resolved) {
  return rest;
}

function build(options: Resolved): Inputs {
  const { batch, length, dim, width } = options;
  const random = new Random(options.seed);
  const all: Record<string, HostTensor> = {
    x: normals(random, [batch, length, dim]),
    weight: normals(random, [dim, width], 1 / Math.sqrt(width)),
    bias: normals(random, [dim], 0.5),
    initialState: normals(random, [batch, dim, width - 1]),
    resets: resetMarks(random, batch, length),
  };
  for (const name of ['bias', 'initialState', 'resets'] as const) if (!options[name]) delete all[name];
  options.edit?.(all);
  return Object.fromEntries(Object.entries(all).map(([name, host]) => [name, { host }]));
}

function convArguments<T>({ activation }: Resolved, tensors: Named<T>): unknown[] {
  const { x, weight, bias, initialState, resets } = tensors;
  return [x, weight, bias, { activation, initialState, resets }];
}
