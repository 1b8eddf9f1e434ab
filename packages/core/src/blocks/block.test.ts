import { beforeEach, describe, expect, it } from 'vitest';
import { type FakeDriver, failure, fakeBackend } from '../../test/fake-driver.ts';
import type { Backend } from '../contract/backend.ts';
import { sizeOf, type Tensor } from '../contract/tensor.ts';
import { blockConfig, createBlock, type StandaloneBlock } from './block.ts';
import { type BlockConfig, blockDefinition } from './kinds.ts';

let backend: Backend;
let driver: FakeDriver;
beforeEach(() => {
  ({ backend, driver } = fakeBackend());
});

const zeros = (shape: readonly number[]): Tensor =>
  backend.upload({ dtype: 'float32', shape, data: new Float32Array(sizeOf(shape)) });

/** Zeros for every parameter of a block, including those that its config leaves open. */
function weightsOf({ dModel, ...config }: StandaloneBlock): Record<string, Tensor> {
  const parameters = blockDefinition('kind', config.kind).parameters(config as BlockConfig, dModel);
  return Object.fromEntries(parameters.map(({ key, shape }) => [key, zeros(shape)]));
}

const mamba = { ...blockConfig(4, { dState: 2, dConv: 3, dtRank: 1 }), kind: 'mamba' } as const;
const mamba2 = { kind: 'mamba2', dModel: 4, heads: 4, headDim: 2, dState: 3, dConv: 2, groups: 2 } as const;
const mlp = { kind: 'mlp', dModel: 4, dHidden: 6, activation: 'silu' } as const;

describe('createBlock', () => {
  it.each<[string, StandaloneBlock, StandaloneBlock, string]>([
    ['a bias of projections that have none', mamba, { ...mamba, projectionBias: false }, 'inProjBias'],
    ['a bias of a convolution that has none', mamba, { ...mamba, convBias: false }, 'convBias'],
    ['a gate of a block without', mlp, { ...mlp, gated: false }, 'gate'],
    ['a norm of a gate that has none', mamba2, { ...mamba2, norm: false }, 'norm'],
    ['weights of norms without an eps', { ...mamba, mixerNormEps: 0, mixerNormWeights: true }, mamba, 'dtNorm'],
  ])('refuses %s', (_, given, config, key) => {
    const weights = weightsOf(given);
    const origin = `createBlock.weights.${key}`;
    expect(() => createBlock(backend, config, weights)).toThrow(failure('invalid-argument', origin));
    expect(driver.ran.filter((operation) => operation !== 'upload')).toEqual([]);
  });

  it.each([
    ['groups', { groups: 3 }],
    ['dtMax', { dtMin: 1, dtMax: 0.5 }],
    ['dtMax', { dtMax: Number.POSITIVE_INFINITY }],
    ['dtMin', { dtMin: Number.NaN }],
    ['normEps', { norm: false, normEps: 1e-5 }],
    ['normBeforeGate', { norm: false, normBeforeGate: true }],
    ['expand', { expand: 2 }],
  ])('refuses %s that contradicts or is unknown, before it takes weights', (key, change) => {
    const config = { ...mamba2, ...change } as StandaloneBlock;
    const origin = key === 'expand' ? 'createBlock.config' : `createBlock.config.${key}`;
    expect(() => createBlock(backend, config, {})).toThrow(
      expect.objectContaining({ code: 'invalid-argument', origin: expect.stringMatching(origin) }),
    );
  });

  it('takes weights that the config leaves open, and absent ones as undefined', () => {
    const { inProjBias, outProjBias, convBias, ...rest } = weightsOf(mamba);
    createBlock(backend, mamba, { ...rest, inProjBias, outProjBias, convBias });
    createBlock(backend, { ...mamba, projectionBias: false }, { ...rest, convBias, inProjBias: undefined });
  });
});
