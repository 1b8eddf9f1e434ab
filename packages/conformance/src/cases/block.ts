import {
  type Backend,
  type Block,
  type BlockConfig,
  type BlockWeights,
  createBlock,
  type StandaloneBlock,
  type StandaloneMamba,
  type StateSlot,
  type Tensor,
} from '@mamba/core';
import { type BlockState, blockDefinition, exactSlot, scoped, slotShape } from '@mamba/core/driver';
import { kindInputs } from '../blocks/inputs.ts';
import { isOptional, kindSupport } from '../blocks/support.ts';
import { Random } from '../random.ts';
import { type Case, type Inputs, type Sizes, type Tolerance, uploadInputs } from './case.ts';
import { normals, resetMarks } from './host.ts';
import { seededBlockParameter } from './weights.ts';

/** A block, the input that it is run on, and where it starts from. */
export interface BlockCaseOptions {
  /** A block's config with its width. The default kind is `mamba`. */
  readonly config: StandaloneBlock | StandaloneMamba;
  readonly batch: number;
  readonly length: number;
  /** Continues from a random state. Default false. */
  readonly initialState?: boolean | undefined;
  /** Standard deviation of the values in a random state, by slot. Default: the kind's in core, and 1. */
  readonly stateDeviation?: Readonly<Record<string, number>> | undefined;
  readonly resets?: boolean | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
}

/** A block with seeded weights. Its results are y and the slots of the state. */
export function blockCase(options: BlockCaseOptions): Case {
  const { config, batch, length, initialState = false, resets = false, seed = 1 } = options;
  const slots = blockSlots(config);
  return {
    id: `block/${options.id ?? `b${batch}-l${length}-d${config.dModel}`}`,
    operation: 'block',
    seed,
    sizes: { ...blockSizes(config), batch, length, initialState, resets },
    tolerance: BLOCK,
    optional: isOptional(config.kind ?? 'mamba'),
    supports: (backend) => kindSupport(config.kind ?? 'mamba', backend),
    async prepare(backend) {
      const weights = uploadBlock(backend, options);
      const { x, resets: marks, ...state } = uploadInputs(backend, blockInputs(options, slots));
      const block = openBlock(backend, config, weights);
      return {
        run() {
          const position = initialState ? INITIAL_POSITION : 0;
          const positions = new Array<number>(batch).fill(position);
          const result = block.forward(x!, { ...(initialState && { state, positions }), resets: marks });
          const after = positions.map((before) => before + length);
          return { y: result.y, ...withoutRoom(backend, slots, result.state, after) };
        },
        dispose() {
          block.dispose();
          for (const tensor of [x, marks, ...Object.values(weights), ...Object.values(state)]) tensor?.dispose();
        },
      };
    },
  };
}

const BLOCK: Tolerance = {
  relative: 2e-5,
  reason: 'four matrix products, a convolution and a scan in a row, each with float32 rounding',
};

/** Exactly the rows of each slot, in place of tensors that have room beside them: what the room holds is undefined. */
function withoutRoom(
  backend: Backend,
  slots: readonly StateSlot[],
  state: BlockState,
  positions: readonly number[],
): BlockState {
  return scoped((scope) => {
    for (const tensor of Object.values(state)) scope.own(tensor);
    const exact = slots.map((slot) => [slot.name, exactSlot(backend, scope, slot, state, positions)!] as const);
    return Object.fromEntries(exact.map(([name, tensor]) => [name, scope.release(tensor)]));
  });
}

/** Uploads the seeded weights of a block. The caller disposes them. */
export function uploadBlock(
  backend: Backend,
  { config, seed = 1 }: Pick<BlockCaseOptions, 'config' | 'seed'>,
): BlockWeights<Tensor> {
  const { block, dModel } = parts(config);
  const parameters = blockDefinition('block.kind', block.kind).parameters(block, dModel);
  return uploadInputs(
    backend,
    Object.fromEntries(
      parameters.map(({ key, shape, role, training }) => {
        const parameter = { name: key, key, shape, role, training };
        const host = seededBlockParameter(block, parameter, { dModel, layers: 1, seed });
        return [key, { host, role: role === 'matrix' ? role : undefined }];
      }),
    ),
  );
}

export function openBlock(backend: Backend, config: BlockCaseOptions['config'], weights: BlockWeights<Tensor>): Block {
  const { block, dModel } = parts(config);
  return createBlock(backend, { ...block, dModel }, weights);
}

export function blockSlots(config: BlockCaseOptions['config']): readonly StateSlot[] {
  const { block, dModel } = parts(config);
  return blockDefinition('block.kind', block.kind).state(block, dModel);
}

/** The sizes and options of a config, as a case reports them. */
export function blockSizes(config: object): Sizes {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined)) as Sizes;
}

/** Number of tokens that each row of an initial state has been fed. */
const INITIAL_POSITION = 3;

/** The block's config without its width, and with its kind's defaults. */
function parts(config: BlockCaseOptions['config']): { readonly block: BlockConfig; readonly dModel: number } {
  const { dModel, kind = 'mamba', ...rest } = config;
  const { defaults } = blockDefinition('block.kind', kind);
  return { block: { ...defaults, kind, ...blockSizes(rest) } as BlockConfig, dModel };
}

function blockInputs(
  { config, batch, length, initialState, stateDeviation, resets, seed = 1 }: BlockCaseOptions,
  slots: readonly StateSlot[],
): Inputs {
  const random = new Random(seed);
  const x = normals(random, [batch, length, config.dModel]);
  const positions = new Array<number>(batch).fill(INITIAL_POSITION);
  const deviations = stateDeviation ?? kindInputs(config.kind ?? 'mamba').stateDeviation ?? {};
  const state = initialState ? slots.map((slot) => slotInput(slot, positions, deviations[slot.name] ?? 1, random)) : [];
  return {
    x: { host: x },
    ...Object.fromEntries(state),
    ...(resets && { resets: { host: resetMarks(random, batch, length) } }),
  };
}

function slotInput(
  slot: StateSlot,
  positions: readonly number[],
  deviation: number,
  random: Random,
): [string, Inputs[string]] {
  return [slot.name, { host: normals(random, slotShape(slot, positions)!, deviation) }];
}
