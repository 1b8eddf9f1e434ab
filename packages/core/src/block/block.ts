import { fusionOf } from '../backend/fusion.ts';
import type { Backend } from '../contract/backend.ts';
import { invalid } from '../contract/errors.ts';
import type { Tensor } from '../contract/tensor.ts';
import {
  checkDType,
  checkExact,
  checkInteger,
  checkIntegers,
  checkNumber,
  checkOptions,
  checkRank,
} from '../operations/check.ts';
import { composeBlock } from './compose.ts';
import type { BlockConfig, BlockKernel, BlockResult, BlockState, BlockWeights } from './contract.ts';
import { blockParameters } from './parameters.ts';

export interface BlockForwardOptions {
  /** What an earlier call returned; zero if absent. It is left as it was, and stays the caller's. */
  readonly state?: BlockState | undefined;
  /** int32 `[batch, length]`; where not 0 a new sequence begins. */
  readonly resets?: Tensor | undefined;
}

/** One Mamba block on a backend. Full, chunked and stepped calls give the same. */
export interface Block {
  readonly config: BlockConfig;
  /** x `[batch, length, dModel]` → y of that shape, and the state after it. Both are the caller's to dispose. */
  forward(x: Tensor, options?: BlockForwardOptions): BlockResult;
}

/**
 * A block over weights that stay the caller's. The backend's fused form is taken where it has one.
 * @throws MambaError `invalid-argument` where the config is contradictory or a weight's shape is not the config's.
 */
export function createBlock(backend: Backend, config: BlockConfig, weights: BlockWeights<Tensor>): Block {
  checkBlockConfig('createBlock.config', config);
  for (const { key, shape, optional } of blockParameters(config)) {
    const weight = weights[key];
    if (weight === undefined && optional) continue;
    if (weight === undefined) throw invalid(`createBlock.weights.${key}`, 'nothing', `a tensor [${shape.join(', ')}]`);
    checkExact(`createBlock.weights.${key}`, weight, shape, key);
  }
  const kernel = fusionOf(backend)?.block(config, weights) ?? composeBlock(backend, config, weights);
  return { config, forward: (x, options = {}) => forward(backend, config, kernel, x, options) };
}

/** Mamba's usual sizes for a width: expand 2, 16 states, convolution of 4, dt rank of a sixteenth. */
export function blockConfig(dModel: number, overrides: Partial<BlockConfig> = {}): BlockConfig {
  const config = { dModel, dInner: 2 * dModel, dState: 16, dConv: 4, dtRank: Math.ceil(dModel / 16), ...overrides };
  checkBlockConfig('blockConfig', config);
  return config;
}

export function checkBlockConfig(origin: string, config: BlockConfig): void {
  for (const key of ['dModel', 'dInner', 'dState', 'dtRank'] as const)
    checkInteger(`${origin}.${key}`, config[key], 1, 2 ** 24);
  checkInteger(`${origin}.dConv`, config.dConv, 2, 2 ** 16);
  if (config.mixerNormEps !== undefined) checkNumber(`${origin}.mixerNormEps`, config.mixerNormEps, 0, 1);
}

function forward(
  backend: Backend,
  config: BlockConfig,
  kernel: BlockKernel,
  x: Tensor,
  options: BlockForwardOptions,
): BlockResult {
  checkOptions('block.forward', options, ['state', 'resets']);
  checkRank('block.x', x, 3, '[batch, length, dModel]');
  const [batch, length] = x.shape as [number, number, number];
  checkExact('block.x', x, [batch, length, config.dModel], '[batch, length, dModel]');
  checkDType('block.x', x, backend.precision);
  const { state, resets } = options;
  if (state !== undefined) {
    checkExact('block.state.conv', state.conv, [batch, config.dInner, config.dConv - 1], '[batch, dInner, dConv - 1]');
    checkExact('block.state.ssm', state.ssm, [batch, config.dInner, config.dState], '[batch, dInner, dState]');
  }
  if (resets !== undefined) checkIntegers('block.resets', resets, [batch, length], '[batch, length]');
  return kernel.forward({ x, state, resets, batch, length });
}
