/**
 * The rule of each operation: which of its inputs can have gradients, which values the backward pass reads, and how the
 * gradients are computed. Operations that choose tokens have none: nothing flows through them.
 */
import type { Backend, OperationName, Operations, Tensor } from '@mamba/core';

/** The inputs of a call that can have gradients, by name. An absent input is undefined. */
export type Named = Readonly<Record<string, Tensor | undefined>>;

/** The gradient of an input: a tensor of its shape, or of the part of it that was used. */
export type Gradient = Tensor | Part;

/** The gradient of `[start, end)` of one axis; it is 0 elsewhere. */
export interface Part {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly gradient: Tensor;
}

/** What a rule has to work with. */
export interface Backward {
  readonly backend: Backend;
  /** The cotangents of the results by name. At least one is there. */
  readonly cotangents: Named;
  /** The results by name, where the rule keeps them. */
  readonly results: Named;
  /** Whether the gradient of this input is wanted. */
  wants(input: string): boolean;
  /** Zeros of a tensor's shape, for a result whose cotangent is absent. */
  zeros(like: Pick<Tensor, 'shape'>): Tensor;
  /** What the forward call kept, by the rule's `keeps`; undefined where the backend kept nothing. */
  readonly kept: Tensor | undefined;
}

/** A result that the forward call has for its backward pass alone, where an option asks for it. */
export interface Keeps {
  readonly result: string;
  readonly option: string;
  /** The place of the options among the arguments. */
  readonly argument: number;
}

export interface Rule<Arguments extends readonly unknown[]> {
  /** The inputs that can have gradients. */
  inputs(...args: Arguments): Named;
  /** The tensors whose values the backward pass reads. */
  reads(...args: Arguments): readonly (Tensor | undefined)[];
  /** Optional. Default: the backward pass reads inputs alone. */
  readonly keeps?: Keeps;
  /** Optional. Whether the backward pass reads the results as well. Default false. */
  readonly keepsResults?: boolean | undefined;
  /** The gradients of the wanted inputs, owned by the caller. Others may be there too. */
  backward(context: Backward, ...args: Arguments): Readonly<Record<string, Gradient | undefined>>;
}

type Rules = {
  readonly [K in Differentiable]: Rule<Parameters<Operations<Tensor>[K]>>;
};

type Differentiable =
  | 'selectiveScan'
  | 's4d'
  | 'ssdScan'
  | 'gatedRmsNorm'
  | 'causalConv1d'
  | 'linear'
  | 'rmsNorm'
  | 'layerNorm'
  | 'embedding'
  | 'add'
  | 'multiply'
  | 'slice'
  | 'reshape'
  | 'concat'
  | 'logProb'
  | 'attention'
  | 'rope'
  | 'crossEntropy';

/**
 * The rule of an operation, for arguments that the operation has accepted; undefined where nothing flows through it.
 */
export function ruleOf(operation: OperationName): Rule<readonly unknown[]> | undefined {
  const known: Readonly<Record<string, unknown>> = rules;
  return known[operation] as Rule<readonly unknown[]> | undefined;
}

const rules: Rules = {
  selectiveScan: {
    inputs: (u, delta, A, B, C, { D, z, deltaBias, initialState } = {}) => ({
      ...{ u, delta, A, B, C, D, z, deltaBias, initialState },
    }),
    reads: (u, delta, A, B, C, { D, z, deltaBias, initialState, resets } = {}) => [
      ...[u, delta, A, B, C, D, z, deltaBias, initialState, resets],
    ],
    keeps: { result: 'states', option: 'keepStates', argument: 5 },
    backward({ backend, cotangents, zeros, kept }, u, delta, A, B, C, options = {}) {
      const y = cotangents.y ?? zeros(u);
      const { lastState } = cotangents;
      try {
        return { ...backend.selectiveScanBackward(u, delta, A, B, C, options, { y, lastState }, kept) };
      } finally {
        if (cotangents.y === undefined) y.dispose();
      }
    },
  },
  s4d: {
    inputs: (u, dt, A, C, { B, D, initialState } = {}) => ({ u, dt, A, C, B, D, initialState }),
    reads: (u, dt, A, C, { B, D, initialState, resets } = {}) => [u, dt, A, C, B, D, initialState, resets],
    backward({ backend, cotangents, zeros }, u, dt, A, C, options = {}) {
      const y = cotangents.y ?? zeros(u);
      try {
        return { ...backend.s4dBackward(u, dt, A, C, options, { y, lastState: cotangents.lastState }) };
      } finally {
        if (cotangents.y === undefined) y.dispose();
      }
    },
  },
  ssdScan: {
    inputs: (x, dt, A, B, C, { D, z, dtBias, initialState } = {}) => ({ x, dt, A, B, C, D, z, dtBias, initialState }),
    reads: (x, dt, A, B, C, { D, z, dtBias, initialState, resets } = {}) => [
      ...[x, dt, A, B, C, D, z, dtBias, initialState, resets],
    ],
    backward({ backend, cotangents, zeros }, x, dt, A, B, C, options = {}) {
      const y = cotangents.y ?? zeros(x);
      try {
        return { ...backend.ssdScanBackward(x, dt, A, B, C, options, { y, lastState: cotangents.lastState }) };
      } finally {
        if (cotangents.y === undefined) y.dispose();
      }
    },
  },
  gatedRmsNorm: {
    inputs: (x, z, { weight } = {}) => ({ x, z, weight }),
    reads: (x, z, { weight } = {}) => [x, z, weight],
    backward: ({ backend, cotangents }, x, z, options = {}) => ({
      ...backend.gatedRmsNormBackward(x, z, options, cotangents.y!),
    }),
  },
  causalConv1d: {
    inputs: (x, weight, bias, { initialState } = {}) => ({ x, weight, bias, initialState }),
    reads: (x, weight, bias, { initialState, resets } = {}) => [x, weight, bias, initialState, resets],
    backward({ backend, cotangents, zeros }, x, weight, bias, options = {}) {
      const y = cotangents.y ?? zeros(x);
      try {
        return { ...backend.causalConv1dBackward(x, weight, bias, options, { y, lastState: cotangents.lastState }) };
      } finally {
        if (cotangents.y === undefined) y.dispose();
      }
    },
  },
  linear: {
    inputs: (x, weight, bias) => ({ x, weight, bias }),
    reads: (x, weight, bias) => [x, weight, bias],
    backward({ backend, cotangents, wants }, x, weight, bias) {
      const wanted = (['x', 'weight', 'bias'] as const).filter(wants);
      return { ...backend.linearBackward(x, weight, bias, cotangents.y!, { wanted }) };
    },
  },
  rmsNorm: {
    inputs: (x, { weight } = {}) => ({ x, weight }),
    reads: (x, { weight } = {}) => [x, weight],
    backward: ({ backend, cotangents }, x, options = {}) => ({
      ...backend.rmsNormBackward(x, options, cotangents.y!),
    }),
  },
  layerNorm: {
    inputs: (x, { weight, bias } = {}) => ({ x, weight, bias }),
    reads: (x, { weight, bias } = {}) => [x, weight, bias],
    backward: ({ backend, cotangents }, x, options = {}) => ({
      ...backend.layerNormBackward(x, options, cotangents.y!),
    }),
  },
  embedding: {
    inputs: (table) => ({ table }),
    reads: (table, ids) => [table, ids],
    backward: ({ backend, cotangents }, table, ids) => ({
      table: backend.embeddingBackward(table, ids, cotangents.y!),
    }),
  },
  add: {
    inputs: (a, b) => ({ a, b }),
    reads: () => [],
    backward: ({ cotangents: { y } }) => ({ a: y, b: y }),
  },
  multiply: {
    inputs: (a, b) => ({ a, b }),
    reads: (a, b, { activation = 'none' } = {}) => (b === undefined && activation === 'none' ? [] : [a, b]),
    backward({ backend, cotangents }, a, b, options = {}) {
      const dy = cotangents.y!;
      const { activation = 'none' } = options;
      if (b === undefined && activation === 'none') return { a: backend.multiply(dy, undefined, options) };
      return { ...backend.multiplyBackward(a, b, options, dy) };
    },
  },
  slice: {
    inputs: (x) => ({ x }),
    reads: () => [],
    backward: ({ cotangents: { y } }, _, axis, start, end) => ({ x: { axis, start, end, gradient: y! } }),
  },
  reshape: {
    inputs: (x) => ({ x }),
    reads: () => [],
    backward: ({ backend, cotangents: { y } }, x) => ({ x: backend.reshape(y!, x.shape) }),
  },
  concat: {
    inputs: (tensors) => Object.fromEntries(tensors.map((tensor, index) => [String(index), tensor])),
    reads: () => [],
    backward({ backend, cotangents, wants }, tensors, axis) {
      let start = 0;
      return Object.fromEntries(
        tensors.map((tensor, index) => {
          const [from, end] = [start, start + tensor.shape[axis]!];
          start = end;
          const part = wants(String(index)) ? backend.slice(cotangents.y!, axis, from, end) : undefined;
          return [String(index), part];
        }),
      );
    },
  },
  logProb: {
    inputs: (logits) => ({ logits }),
    reads: (logits, ids) => [logits, ids],
    backward: ({ backend, cotangents }, logits, ids) => ({
      logits: backend.logProbBackward(logits, ids, cotangents.y!),
    }),
  },
  attention: {
    inputs: (q, k, v) => ({ q, k, v }),
    reads: (q, k, v, { segments, keyLengths, offsets, reach } = {}) => [q, k, v, segments, keyLengths, offsets, reach],
    keepsResults: true,
    backward({ backend, cotangents, results, zeros }, q, k, v, options = {}) {
      const { y, logSumExp } = results as { readonly y: Tensor; readonly logSumExp: Tensor };
      const dy = cotangents.y ?? zeros(q);
      try {
        const given = { y: dy, logSumExp: cotangents.logSumExp };
        return { ...backend.attentionBackward(q, k, v, options, { y, logSumExp }, given) };
      } finally {
        if (cotangents.y === undefined) dy.dispose();
      }
    },
  },
  rope: {
    inputs: (x) => ({ x }),
    reads: (_, { positions } = {}) => [positions],
    backward: ({ backend, cotangents }, _, options = {}) => ({ x: backend.ropeBackward(options, cotangents.y!) }),
  },
  crossEntropy: {
    inputs: (logits) => ({ logits }),
    reads: (logits, targets) => [logits, targets],
    backward: ({ backend, cotangents }, logits, targets, options = {}) => ({
      logits: backend.crossEntropyBackward(logits, targets, options, cotangents.y!),
    }),
  },
};
