/**
 * The systems that are compared, each a kind of block. A line here is all that a system needs: blocks are opened,
 * checked, measured and drawn alike. Every system gets the inner width at which it has about as many parameters as a
 * Mamba block of the same model width.
 */
import { type BlockConfig, blockConfig, sizeOf } from '@mamba/core';
import { blockDefinition } from '@mamba/core/driver';
import { defineMixers } from '@mamba/mixers';
import { defineTimeInvariant } from '@mamba/train';

export interface System {
  /** The name in options, results and links. */
  readonly name: string;
  /** The name that people read. */
  readonly label: string;
  /** The same for a label in a plot, where that has to be shorter. */
  readonly short?: string | undefined;
  /** How memory and work of a whole sequence grow with its length, after the formulas. */
  readonly grows: 'linear' | 'quadratic';
  /** What a step has to remember of the tokens before. `nothing`: the system cannot go on token by token. */
  readonly remembers: 'constant' | 'every token' | 'a window' | 'nothing';
  /** What the literature says of it beside Mamba, with the source. */
  readonly says: string;
  /** The block whose inner width is `inner`, a multiple of the headDim. */
  config(size: SystemSize): BlockConfig;
}

export interface SystemSize {
  readonly dModel: number;
  readonly inner: number;
  readonly headDim: number;
  /** Tokens of the longest sequence, for a block that has weights for each of them. */
  readonly longest: number;
}

export const BASELINE = 'mamba';

export const SYSTEMS: readonly System[] = [
  {
    name: BASELINE,
    label: 'Mamba',
    grows: 'linear',
    remembers: 'constant',
    says: 'linear in length, and a step takes constant time and memory (arxiv.org/abs/2312.00752, section 3)',
    config: ({ dModel }) => {
      const { dModel: _, ...config } = blockConfig(dModel, { projectionBias: false, convBias: true });
      return { ...config, kind: 'mamba' };
    },
  },
  {
    name: 'time-invariant',
    label: 'Mamba without selection',
    short: 'no selection',
    grows: 'linear',
    remembers: 'constant',
    says: "S4D-Real in Mamba's block: as fast, but it cannot choose what to remember (arxiv.org/abs/2312.00752, table 1)",
    config: ({ inner }) => ({ kind: 'time-invariant', dInner: inner, dState: 16, dConv: 4 }),
  },
  {
    name: 'attention',
    label: 'attention',
    grows: 'quadratic',
    remembers: 'every token',
    says: 'softmax attention in tiles, with rotary positions: what Transformers are made of (arxiv.org/abs/2205.14135)',
    config: ({ inner, headDim }) => ({ kind: 'attention', heads: inner / headDim, headDim, rope: {} }),
  },
  {
    name: 'softmax-attention',
    label: 'attention with its matrix',
    short: 'naive attn',
    grows: 'quadratic',
    remembers: 'nothing',
    says: 'the same with all scores in memory, which grow with the square of the length; it takes whole sequences (arxiv.org/abs/1706.03762)',
    config: ({ inner, headDim }) => ({ kind: 'softmax-attention', heads: inner / headDim, headDim }),
  },
  {
    name: 'sliding-window',
    label: 'sliding window',
    short: 'window',
    grows: 'linear',
    remembers: 'a window',
    says: 'attention to the last 256 tokens (Longformer, arxiv.org/abs/2004.05150)',
    config: ({ inner, headDim }) => ({ kind: 'sliding-window', heads: inner / headDim, headDim, window: 256 }),
  },
  {
    name: 'retention',
    label: 'retention',
    grows: 'linear',
    remembers: 'constant',
    says: 'linear attention with a constant decay a head (RetNet, arxiv.org/abs/2307.08621)',
    config: ({ inner, headDim }) => ({ kind: 'retention', heads: inner / headDim, headDim }),
  },
  {
    name: 'mamba2',
    label: 'Mamba-2',
    grows: 'linear',
    remembers: 'constant',
    says: 'more states at the cost of one decay a head: the scan is matrix products (arxiv.org/abs/2405.21060)',
    config: ({ inner, headDim }) => ({ kind: 'mamba2', heads: inner / headDim, headDim, dState: 64, dConv: 4 }),
  },
  {
    name: 'linear-attention',
    label: 'linear attention',
    short: 'linear attn',
    grows: 'linear',
    remembers: 'constant',
    says: 'attention without the exponential, so that its state is a matrix (arxiv.org/abs/2006.16236)',
    config: ({ inner, headDim }) => ({ kind: 'linear-attention', heads: inner / headDim, headDim }),
  },
  {
    name: 'performer',
    label: 'Performer',
    grows: 'linear',
    remembers: 'constant',
    says: 'random features stand for the exponential of attention (arxiv.org/abs/2009.14794)',
    config: ({ inner, headDim }) => ({ kind: 'performer', heads: inner / headDim, headDim, features: 2 * headDim }),
  },
  {
    name: 'low-rank',
    label: 'low-rank attention',
    short: 'low rank',
    grows: 'quadratic',
    remembers: 'every token',
    says: 'scores of a quarter of the channels: fewer products and a smaller cache, and still the square of the length (the seed)',
    config: ({ inner, headDim }) => ({
      ...{ kind: 'low-rank', heads: inner / headDim, headDim },
      rank: Math.ceil(headDim / 4),
    }),
  },
  {
    name: 'linformer',
    label: 'Linformer',
    grows: 'linear',
    remembers: 'nothing',
    says: 'keys and values of all tokens become 128, by weights for each place, which come on top of its parameters; it sees later tokens (arxiv.org/abs/2006.04768)',
    config: ({ inner, headDim, longest }) => ({
      ...{ kind: 'linformer', heads: inner / headDim, headDim, rank: 128, longest },
    }),
  },
  {
    name: 'reformer',
    label: 'Reformer',
    grows: 'linear',
    remembers: 'nothing',
    says: 'a token sees those of its hash in chunks of 64; here with 64 buckets and one round (arxiv.org/abs/2001.04451)',
    config: ({ inner, headDim }) => ({ kind: 'reformer', heads: inner / headDim, headDim, buckets: 64, chunk: 64 }),
  },
  {
    name: 's4d',
    label: 'S4D',
    grows: 'linear',
    remembers: 'constant',
    says: 'complex states that do not depend on the input (arxiv.org/abs/2206.11893); its block has a third of the parameters',
    config: () => ({ kind: 's4d', dState: 64 }),
  },
  {
    name: 'lstm',
    label: 'LSTM',
    grows: 'linear',
    remembers: 'constant',
    says: 'forgets, and trains slowly, since its steps cannot run side by side (the seed)',
    config: ({ inner }) => ({ kind: 'lstm', dHidden: inner }),
  },
  {
    name: 'gru',
    label: 'GRU',
    grows: 'linear',
    remembers: 'constant',
    says: 'as the LSTM, with one state instead of two (the seed)',
    config: ({ inner }) => ({ kind: 'gru', dHidden: inner }),
  },
];

/** Makes the kinds of the table known. */
export function defineSystems(): void {
  defineTimeInvariant();
  defineMixers();
}

/** A system with the block that is measured. */
export interface SizedSystem extends System {
  readonly block: BlockConfig;
  readonly parameters: number;
}

/**
 * The system at this model width, with the inner width whose parameters come nearest to those of a Mamba block. Weights
 * for the places of a sequence are not counted in that.
 * @param longest Tokens of the longest sequence.
 */
export function sizeSystem(system: System, dModel: number, longest: number): SizedSystem {
  const headDim = headDimOf(dModel);
  const count = (one: System, inner: number): number =>
    parametersOf(one.config({ dModel, inner, headDim, longest: 1 }), dModel);
  const wanted = count(SYSTEMS[0]!, 2 * dModel);
  const inners = Array.from({ length: Math.floor((4 * dModel) / headDim) }, (_, index) => headDim * (index + 1));
  const distance = (inner: number): number => Math.abs(count(system, inner) - wanted);
  const inner = inners.reduce((best, one) => (distance(one) < distance(best) ? one : best));
  const block = system.config({ dModel, inner, headDim, longest });
  return { ...system, block, parameters: parametersOf(block, dModel) };
}

/** Heads of 64 as in the paper's Transformers; narrow models have four heads. */
function headDimOf(dModel: number): number {
  return Math.max(1, Math.min(64, Math.floor(dModel / 4)));
}

function parametersOf(block: BlockConfig, dModel: number): number {
  return parameterShapes(block, dModel).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

/** The parameters of a block, its kind's defaults filled in. */
function parameterShapes(block: BlockConfig, dModel: number) {
  const definition = blockDefinition('versus', block.kind);
  const config = { ...definition.defaults, ...block } as BlockConfig;
  definition.check('versus', config, dModel);
  return definition.parameters(config, dModel).filter(({ optional }) => optional !== true);
}
