import { fusionOf } from '../backend/fusion.ts';
import type { Backend } from '../contract/backend.ts';
import { invalid } from '../contract/errors.ts';
import type { Tensor } from '../contract/tensor.ts';
import { checkDType, checkExact, checkInteger, checkIntegers, checkOptions, checkRank } from '../operations/check.ts';
import type { BlockKernel, BlockParameter, BlockResult, BlockState, BlockWeights, StateSlot } from './contract.ts';
import { type BlockConfig, type BlockKind, blockDefinition } from './kinds.ts';
import { checkMamba, type MambaConfig, mambaSizes } from './mamba/config.ts';
import type { MambaState, MambaWeights } from './mamba/parameters.ts';
import { checkState } from './state.ts';

/** What a call of a single block continues from. */
export interface BlockForwardOptions<State extends BlockState = BlockState> {
  /** The state that an earlier call returned; zero if absent. The call does not change it, and the caller keeps it. */
  readonly state?: State | undefined;
  /** Number of tokens fed before, for each row. Kinds whose state grows need it together with a state. Default: 0. */
  readonly positions?: readonly number[] | undefined;
  /** int32 `[batch, length]`. A value other than 0 begins a new sequence at its token. */
  readonly resets?: Tensor | undefined;
}

/**
 * A single block on a backend, without norm and residual. A sequence in one call, in chunks, or step by step gives the
 * same results.
 */
export interface Block<State extends BlockState = BlockState> {
  /** The config, as it was given. */
  readonly config: StandaloneBlock | StandaloneMamba;
  /** x `[batch, length, dModel]` → y of that shape, and the state after it. The caller disposes both. */
  forward(x: Tensor, options?: BlockForwardOptions<State>): BlockResult<State>;
  /** Frees what the block allocated. The weights stay alive; they belong to the caller. */
  dispose(): void;
}

/** A block's config, with the width that its model would have. */
export type StandaloneBlock<K extends BlockKind = BlockKind> = BlockConfig<K> & { readonly dModel: number };

/**
 * A Mamba block's config with the width. Where `projectionBias` or `convBias` is absent, the block has those biases
 * that are among its weights.
 */
export type StandaloneMamba = MambaConfig & { readonly dModel: number; readonly kind?: 'mamba' | undefined };

/**
 * Makes a block from weights, which still belong to the caller. Uses the backend's fused form of the kind if there is
 * one.
 * @throws MambaError `invalid-argument` where the config is contradictory, a weight's shape is not the config's, or the
 * config excludes a weight that is given.
 */
export function createBlock(
  backend: Backend,
  config: StandaloneMamba,
  weights: MambaWeights<Tensor>,
): Block<MambaState>;
export function createBlock(backend: Backend, config: StandaloneBlock, weights: BlockWeights<Tensor>): Block;
export function createBlock(
  backend: Backend,
  config: StandaloneBlock | StandaloneMamba,
  weights: BlockWeights<Tensor>,
): Block {
  checkWidth('createBlock.config', config);
  const { dModel, ...rest } = config;
  const sized = { kind: 'mamba', ...rest } as BlockConfig;
  const definition = blockDefinition('createBlock.config.kind', sized.kind);
  definition.check('createBlock.config', sized, dModel);
  checkWeights(definition.parameters(sized, dModel), weights);
  const kernel = blockKernel(backend, sized, weights, dModel);
  return {
    config,
    forward: (x, options = {}) => forward(backend, sized, dModel, kernel, x, options),
    dispose: () => kernel.dispose?.(),
  };
}

/** Refuses weights that are missing, of the wrong shape, or excluded by the config. */
function checkWeights(parameters: readonly BlockParameter[], weights: BlockWeights<Tensor>): void {
  for (const { key, shape, optional } of parameters) {
    const weight = weights[key];
    if (weight === undefined && optional) continue;
    if (weight === undefined) throw invalid(`createBlock.weights.${key}`, 'nothing', `a tensor [${shape.join(', ')}]`);
    checkExact(`createBlock.weights.${key}`, weight, shape, key);
  }
  const known = parameters.map(({ key }) => key);
  const surplus = Object.keys(weights).find((key) => weights[key] !== undefined && !known.includes(key));
  if (surplus !== undefined)
    throw invalid(
      `createBlock.weights.${surplus}`,
      'a weight that the block would not use',
      `weights of this config: ${known.join(', ')}`,
      'Leave it out, or set the option that calls for it.',
    );
}

/**
 * A Mamba block's config; what `overrides` does not say has the paper's sizes, as `modelConfig` has them.
 * @throws MambaError `invalid-argument` where a size or an option cannot be.
 */
export function blockConfig(dModel: number, overrides: Partial<StandaloneMamba> = {}): StandaloneMamba {
  const config = { ...mambaSizes(dModel), ...overrides, kind: 'mamba' as const, dModel: overrides.dModel ?? dModel };
  checkWidth('blockConfig', config);
  const { dModel: _, ...sized } = config;
  checkMamba('blockConfig', sized);
  return config;
}

/** The backend's fused form of a block, or else the composition. Expects checked arguments. */
export function blockKernel(
  backend: Backend,
  config: BlockConfig,
  weights: BlockWeights<Tensor>,
  dModel: number,
): BlockKernel {
  return fusionOf(backend)?.block(config, weights, dModel) ?? composedBlock(backend, config, weights);
}

/** A block composed of operations alone. */
export function composedBlock(backend: Backend, config: BlockConfig, weights: BlockWeights<Tensor>): BlockKernel {
  return blockDefinition('block.kind', config.kind).compose(backend, config, weights);
}

function checkWidth(origin: string, config: { readonly dModel: number }): void {
  if (typeof config !== 'object' || config === null) throw invalid(origin, String(config), '{ kind, dModel, … }');
  checkInteger(`${origin}.dModel`, config.dModel, 1, 2 ** 24);
}

function forward(
  backend: Backend,
  config: BlockConfig,
  dModel: number,
  kernel: BlockKernel,
  x: Tensor,
  options: BlockForwardOptions,
): BlockResult {
  checkOptions('block.forward', options, ['state', 'positions', 'resets']);
  checkRank('block.x', x, 3, '[batch, length, dModel]');
  const [batch, length] = x.shape as [number, number, number];
  checkExact('block.x', x, [batch, length, dModel], '[batch, length, dModel]');
  checkDType('block.x', x, backend.precision);
  const { state, resets, positions = new Array<number>(batch).fill(0) } = options;
  if (!Array.isArray(positions) || positions.length !== batch)
    throw invalid('block.positions', String(positions), `${batch} counts of tokens, one a row`);
  for (const [row, position] of positions.entries()) checkInteger(`block.positions[${row}]`, position, 0);
  if (state !== undefined) checkState('block.state', slotsOf(config, dModel), state, positions);
  if (resets !== undefined) checkIntegers('block.resets', resets, [batch, length], '[batch, length]');
  return kernel.forward({ x, state, positions, resets, batch, length });
}

function slotsOf(config: BlockConfig, dModel: number): readonly StateSlot[] {
  return blockDefinition('block.kind', config.kind).state(config, dModel);
}
