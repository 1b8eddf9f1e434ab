/** Configs as a list of blocks and as uniform Mamba blocks, and the configs that are refused. */
import { describe, expect, it } from 'vitest';
import { failure } from '../../test/fake-driver.ts';
import type { BlockConfig } from '../blocks/kinds.ts';
import { mambaSizes } from '../blocks/mamba/config.ts';
import { blocksOf, type ModelConfigLike, modelConfig, resolveModelConfig } from './config.ts';
import { modelParameters, parameterCount } from './parameters.ts';

const sizes = { layers: 2, dModel: 4, vocabSize: 10 };
const mamba = { kind: 'mamba', dInner: 8, dState: 16, dConv: 4, dtRank: 1 } as const;
const mlp = { kind: 'mlp', dHidden: 6, activation: 'silu' } as const;

describe('a config', () => {
  it('of three sizes is a list of alike Mamba blocks with every default written out', () => {
    const block = { ...mamba, projectionBias: false, convBias: true };
    const expected = { dModel: 4, vocabSize: 10, normEps: 1e-5, tiedHead: true, blocks: [block, block] };
    expect(modelConfig(sizes)).toEqual(expected);
    expect(modelConfig({ dModel: 4, vocabSize: 10, blocks: [mamba, mamba] })).toEqual(expected);
  });

  it('in the flat form means the same wherever a config is taken', () => {
    const { kind: _, ...flat } = { ...mamba, ...sizes, normEps: 1e-5, tiedHead: false, projectionBias: true };
    const listed = modelConfig(sizes, { tiedHead: false, projectionBias: true });
    expect(resolveModelConfig('test', flat)).toEqual(listed);
    expect(modelParameters(flat)).toEqual(modelParameters(listed));
    expect(parameterCount(flat)).toBe(parameterCount(listed));
  });

  it('is frozen, and comes back as it is when it is resolved again', () => {
    const config = modelConfig({ dModel: 4, vocabSize: 10, blocks: [mlp, mamba] });
    expect(resolveModelConfig('test', config)).toBe(config);
    expect([config, config.blocks, ...config.blocks].every(Object.isFrozen)).toBe(true);
    expect(resolveModelConfig('test', structuredClone(config))).toEqual(config);
    expect(blocksOf(config, 'mamba').map(({ layer }) => layer)).toEqual([1]);
  });

  it('of mixed blocks names each parameter by its layer and kind', () => {
    const config = modelConfig({
      ...{ dModel: 4, vocabSize: 10, blocks: [mlp, { ...mlp, activation: 'gelu', bias: true }] },
      ...{ norm: 'layer', positions: 7, tiedHead: false },
    });
    expect(modelParameters(config).map(({ name, kind, shape }) => `${name} ${kind ?? '-'} ${shape.join('×')}`)).toEqual(
      [
        'embedding - 10×4',
        'positions - 7×4',
        'layers.0.norm mlp 4',
        'layers.0.normBias mlp 4',
        'layers.0.block.gate mlp 6×4',
        'layers.0.block.up mlp 6×4',
        'layers.0.block.down mlp 4×6',
        'layers.1.norm mlp 4',
        'layers.1.normBias mlp 4',
        'layers.1.block.up mlp 6×4',
        'layers.1.block.upBias mlp 6',
        'layers.1.block.down mlp 4×6',
        'layers.1.block.downBias mlp 4',
        'finalNorm - 4',
        'finalNormBias - 4',
        'head - 10×4',
      ],
    );
  });

  it('has weights for the norms of dt, B and C where it says so', () => {
    const keys = (options: object) =>
      modelParameters(modelConfig({ ...sizes, layers: 1 }, options)).map(({ key }) => key);
    expect(keys({ mixerNormEps: 1e-6 })).toEqual(keys({}));
    const added = keys({ mixerNormEps: 1e-6, mixerNormWeights: true }).filter((key) => !keys({}).includes(key));
    expect(added).toEqual(['block.dtNorm', 'block.BNorm', 'block.CNorm']);
  });

  const base = { dModel: 4, vocabSize: 10, normEps: 1e-5, tiedHead: true };
  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'config'],
    ['no blocks', { ...base, blocks: [] }, 'config.blocks'],
    ['a word for blocks', { ...base, blocks: 'mamba' }, 'config.blocks'],
    ['a block of nothing', { ...base, blocks: [mlp, null] }, 'config.blocks[1]'],
    ['an unknown kind', { ...base, blocks: [{ kind: 'perceptron' }] }, 'config.blocks[0].kind'],
    ['no kind', { ...base, blocks: [{}] }, 'config.blocks[0].kind'],
    ['a kind that objects have', { ...base, blocks: [{ kind: 'constructor' }] }, 'config.blocks[0].kind'],
    ['an option of another kind', { ...base, blocks: [{ ...mlp, dState: 4 }] }, 'config.blocks[0].dState'],
    [
      'a block without a size',
      { ...base, blocks: [mamba, { kind: 'mlp', activation: 'silu' }] },
      'config.blocks[1].dHidden',
    ],
    ['an unknown activation', { ...base, blocks: [{ ...mlp, activation: 'tanh' }] }, 'config.blocks[0].activation'],
    ['both forms', { ...base, blocks: [mamba], dInner: 8 }, 'config.dInner'],
    ['layers beside blocks', { ...base, blocks: [mamba], layers: 1 }, 'config.layers'],
    ['an unknown norm', { ...base, blocks: [mlp], norm: 'batch' }, 'config.norm'],
    [
      'a multiplier that is no number',
      { ...base, blocks: [mlp], multipliers: { logits: Number.NaN } },
      'config.multipliers.logits',
    ],
    ['an unknown multiplier', { ...base, blocks: [mlp], multipliers: { head: 2 } }, 'config.multipliers.head'],
    ['no positions at all', { ...base, blocks: [mlp], positions: 0 }, 'config.positions'],
    ['a flat one without layers', { ...base, dInner: 8, dState: 2, dConv: 4, dtRank: 1 }, 'config.layers'],
    ['a flat one of another kind', { ...base, layers: 2, kind: 'mlp', dInner: 8 }, 'config.dInner'],
  ])('%s is refused', (_, config, origin) => {
    expect(() => resolveModelConfig('config', config as ModelConfigLike)).toThrow(failure('invalid-argument', origin));
  });

  it('of a Mamba block without sizes is refused with what has the usual ones', () => {
    const block = { kind: 'mamba' } as unknown as BlockConfig;
    expect(() => modelConfig({ dModel: 8, vocabSize: 5, blocks: [block] })).toThrow(
      'modelConfig.blocks[0].dInner is not valid: got undefined, expected the number of channels. The usual sizes for a width are those of mambaSizes',
    );
    expect(modelConfig({ dModel: 8, vocabSize: 5, blocks: [{ kind: 'mamba', ...mambaSizes(8) }] })).toEqual(
      modelConfig({ dModel: 8, vocabSize: 5, layers: 1 }),
    );
  });

  it('of an unknown kind is refused with the kinds that are known', () => {
    const blocks = [{ kind: 'perceptron' }] as unknown as readonly BlockConfig[];
    expect(() => modelConfig({ dModel: 4, vocabSize: 10, blocks })).toThrow(
      /attention, mamba, mamba2, mlp.*defineBlock/s,
    );
  });
});
