/** Computations of other packages that golden files may name. */
import type { Backend, HostTensor, Tensor } from '@mamba/core';
import { Tape } from '@mamba/train';
import type { Named, Tolerance } from '../../cases/case.ts';
import type { Arena } from '../../invariants/arena.ts';
import { type GoldenProcedure, type Result, whereSupported } from '../procedures/golden-procedure.ts';

/**
 * A computation that is composed of operations. Its gradients are the tape's, so a package that has compositions, such
 * as @mamba/mixers, says here how files name their inputs, options and results, and nothing else.
 */
export interface GoldenComposition {
  /** The names of the inputs that every case has. */
  readonly required: readonly string[];
  /**
   * Optional. Functions of the values of inputs that the computation takes instead of them, where the contract has no
   * operation for that: f, and f' for the gradients. Default: none.
   */
  readonly forms?:
    | Named<{
        /** f(x) */
        value(x: number): number;
        /** f'(x) */
        slope(x: number): number;
      }>
    | undefined;
  /**
   * The results by their names in files, which the caller disposes.
   * @throws MambaError `invalid-argument` on options that it does not know, `unsupported` where the backend lacks an
   * operation.
   */
  compute(backend: Backend, inputs: Named<Tensor>, given: GoldenCompositionCase): Named<Tensor>;
}

/** A case of a golden file, as a composition gets it. */
export interface GoldenCompositionCase {
  /** The values of all tensors of the case but the expected ones, by their names in the file. */
  readonly inputs: Named<HostTensor>;
  /** The entry of the case in the file's metadata. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** Compositions by the names that golden files call them by. */
export type GoldenCompositions = Readonly<Record<string, GoldenComposition>>;

const COMPOSED: Tolerance = {
  relative: 5e-5,
  reason: 'float32 rounding of every operation of the composition, and of the backward pass of each',
};

/** The composition as a procedure: results as it gives them, and the gradients of every float input. */
export function compositionProcedure({ required, forms = {}, compute }: GoldenComposition): GoldenProcedure {
  return {
    required,
    tolerance: COMPOSED,
    run: ({ backend, inputs, entry }) =>
      whereSupported({ backend }, async (arena) => {
        const tensors = Object.fromEntries(
          Object.entries(inputs).map(([name, host]) => [name, arena.upload(formed(host, forms[name]))]),
        );
        const leaves = Object.entries(tensors).filter(([, { dtype }]) => dtype !== 'int32');
        const tape = new Tape(
          backend,
          leaves.map(([, tensor]) => tensor),
        );
        try {
          const results = arena.all(compute(tape.backend, tensors, { inputs, options: entry }));
          const out: Record<string, Result> = {};
          for (const [name, tensor] of Object.entries(results))
            out[name] = { shape: tensor.shape, data: await tape.backend.read(tensor) };
          const pairs = Object.entries(results).flatMap(([name, tensor]): [Tensor, Tensor][] => {
            const cotangent = tensors[`d${name}`];
            return cotangent === undefined ? [] : [[tensor, cotangent]];
          });
          const gradients = tape.backward(pairs);
          for (const gradient of gradients.values()) arena.own(gradient);
          const grad: Record<string, Result> = {};
          for (const [name, tensor] of leaves) {
            const { shape, data } = await gradientOf(arena, gradients.get(tensor), tensor);
            const slopes = forms[name] && Array.from(inputs[name]!.data, forms[name].slope);
            grad[name] = { shape, data: slopes ? slopes.map((slope, index) => slope * data[index]!) : data };
          }
          return { out, grad };
        } finally {
          tape.dispose();
        }
      }),
  };
}

/** The values that the computation takes, in float64. */
function formed(host: HostTensor, form: { value(x: number): number } | undefined): HostTensor {
  if (form === undefined) return host;
  return { dtype: 'float64', shape: host.shape, data: Float64Array.from(host.data, (value) => form.value(value)) };
}

/** The gradient of an input that no result depends on is 0. */
async function gradientOf(arena: Arena, gradient: Tensor | undefined, { shape }: Tensor): Promise<Result> {
  if (gradient !== undefined) return { shape, data: await arena.read(gradient) };
  return { shape, data: new Float64Array(shape.reduce((size, extent) => size * extent, 1)) };
}
