/**
 * The models that learn tasks, one for each system: as many layers as Mamba's, and sizes at which the parameters come
 * nearest to those of Mamba's model.
 */
import { type BlockConfig, type ModelConfig, modelConfig, parameterCount } from '@mamba/core';
import { BASELINE } from '../systems.ts';

/** A model of a system of the table. */
export interface TaskModel {
  /** The name of the system. */
  readonly system: string;
  /** The blocks of models of several sizes, from which the nearest is taken. */
  candidates(shape: ModelShape): Iterable<readonly BlockConfig[]>;
}

interface ModelShape {
  readonly layers: number;
  readonly dModel: number;
  /**
   * Whether attention and retention come as in their papers, each with a feed-forward block behind it, in the place of
   * two Mamba blocks. Otherwise every layer is one block of the system.
   */
  readonly feedForward: boolean;
}

export const TASK_MODELS: readonly TaskModel[] = [
  {
    system: BASELINE,
    candidates: ({ layers, dModel }) => [modelConfig({ layers, dModel, vocabSize: 2 }).blocks],
  },
  {
    system: 'attention',
    candidates: (shape) => withHeads(shape, (heads, headDim) => ({ kind: 'attention', heads, headDim, rope: {} })),
  },
  {
    system: 'retention',
    candidates: (shape) => withHeads(shape, (heads, headDim) => ({ kind: 'retention', heads, headDim })),
  },
  {
    system: 'mamba2',
    *candidates({ layers, dModel }) {
      const headDim = Math.max(1, dModel / 4);
      for (let dState = 32; dState <= 64; dState += 4)
        for (let heads = 1; heads <= 16; heads++)
          yield repeated(layers, { kind: 'mamba2', heads, headDim, dState, dConv: 4 });
    },
  },
  {
    system: 's4d',
    // A block has a third of the parameters of Mamba's, so there are more of them.
    *candidates({ layers }) {
      for (let blocks = layers; blocks <= 4 * layers; blocks++)
        for (let dState = 32; dState <= 64; dState += 8) yield repeated(blocks, { kind: 's4d', dState });
    },
  },
  {
    system: 'lstm',
    *candidates({ layers, dModel }) {
      for (let dHidden = 4; dHidden <= 4 * dModel; dHidden += 4) yield repeated(layers, { kind: 'lstm', dHidden });
    },
  },
  {
    system: 'gru',
    *candidates({ layers, dModel }) {
      for (let dHidden = 4; dHidden <= 4 * dModel; dHidden += 4) yield repeated(layers, { kind: 'gru', dHidden });
    },
  },
];

/** The model of a system whose parameters come nearest to those of Mamba's. */
export function taskConfig(
  model: TaskModel,
  shape: ModelShape & { readonly vocabSize: number; readonly tiedHead: boolean },
): ModelConfig {
  const { dModel, vocabSize, tiedHead } = shape;
  const configOf = (blocks: readonly BlockConfig[]): ModelConfig =>
    modelConfig({ dModel, vocabSize, tiedHead, blocks });
  const [mamba] = TASK_MODELS[0]!.candidates(shape);
  const wanted = parameterCount(configOf(mamba!));
  let best: { readonly config: ModelConfig; readonly distance: number } | undefined;
  for (const blocks of model.candidates(shape)) {
    const config = configOf(blocks);
    const distance = Math.abs(parameterCount(config) - wanted);
    if (best === undefined || distance < best.distance) best = { config, distance };
  }
  return best!.config;
}

/** Blocks with heads: one a layer and any width of heads, or in pairs with a feed-forward block of any width. */
function* withHeads(
  { layers, dModel, feedForward }: ModelShape,
  block: (heads: number, headDim: number) => BlockConfig,
): Iterable<readonly BlockConfig[]> {
  const heads = Math.max(1, Math.floor(dModel / 32));
  if (!feedForward) {
    for (let headDim = 4; headDim <= (4 * dModel) / heads; headDim += 4) yield repeated(layers, block(heads, headDim));
    return;
  }
  for (let dHidden = 8; dHidden <= 8 * dModel; dHidden += 8) {
    const pair = [
      block(heads, Math.max(2, dModel / heads)),
      { kind: 'mlp', dHidden, activation: 'silu' } as const,
    ] as const;
    yield Array.from({ length: Math.max(1, Math.round(layers / 2)) }, () => pair).flat();
  }
}

function repeated(count: number, block: BlockConfig): readonly BlockConfig[] {
  return new Array<BlockConfig>(count).fill(block);
}
