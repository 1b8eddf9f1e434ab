import { type BlockConfig, type BlockKind, blockDefinition } from '../blocks/kinds.ts';
import { MAMBA_KEYS, mambaSizes } from '../blocks/mamba/config.ts';
import { invalid } from '../contract/errors.ts';
import { checkBoolean, checkInteger, checkNumber, checkOneOf, checkOptions } from '../operations/check.ts';
import type { ModelConfig, UniformMambaConfig } from './contract.ts';

/**
 * The sizes of a model by its blocks. Everything else has Mamba's defaults: RMS norms with eps 1e-5, and a tied head.
 */
export type ModelSizes = Pick<ModelConfig, 'dModel' | 'vocabSize' | 'blocks'> & Partial<ModelConfig>;

/** A config as users may give it: with a list of blocks, or as one flat object for Mamba blocks of equal sizes. */
export type ModelConfigLike = ModelConfig | UniformMambaConfig;

/**
 * The config of a model: of Mamba blocks of equal sizes, or of the blocks that are listed. Everything else has Mamba's
 * defaults unless overridden.
 * @throws MambaError `invalid-argument` on sizes or options that are unknown or contradict each other.
 */
export function modelConfig(
  sizes: { readonly layers: number; readonly dModel: number; readonly vocabSize: number },
  overrides?: Partial<UniformMambaConfig>,
): ModelConfig;
export function modelConfig(sizes: ModelSizes): ModelConfig;
export function modelConfig(
  sizes: ModelSizes | { readonly layers: number; readonly dModel: number; readonly vocabSize: number },
  overrides: Partial<UniformMambaConfig> = {},
): ModelConfig {
  if (typeof sizes !== 'object' || sizes === null)
    throw invalid('modelConfig', String(sizes), '{ layers, dModel, vocabSize } or { blocks, dModel, vocabSize }');
  const rest = { normEps: 1e-5, tiedHead: true };
  if ('blocks' in sizes) return resolveModelConfig('modelConfig', { ...rest, ...sizes });
  return resolveModelConfig('modelConfig', { ...mambaSizes(sizes.dModel), ...rest, ...sizes, ...overrides });
}

/** The published sizes of state-spaces/mamba-130m, -370m, -790m, -1.4b and -2.8b. */
export const MAMBA_SIZES = {
  'mamba-130m': { layers: 24, dModel: 768, vocabSize: 50280 },
  'mamba-370m': { layers: 48, dModel: 1024, vocabSize: 50280 },
  'mamba-790m': { layers: 48, dModel: 1536, vocabSize: 50280 },
  'mamba-1.4b': { layers: 48, dModel: 2048, vocabSize: 50280 },
  'mamba-2.8b': { layers: 64, dModel: 2560, vocabSize: 50280 },
} as const;

/**
 * The config with its blocks listed and their defaults filled in, frozen. A config that was resolved before is returned
 * unchanged.
 * @throws MambaError `invalid-argument` on sizes or options that are unknown or contradict each other.
 */
export function resolveModelConfig(origin: string, given: ModelConfigLike): ModelConfig {
  if (resolved.has(given)) return given as ModelConfig;
  const config = listed(origin, given);
  checkOptions(origin, config, MODEL_KEYS);
  checkInteger(`${origin}.dModel`, config.dModel, 1, 2 ** 24);
  checkInteger(`${origin}.vocabSize`, config.vocabSize, 1, 2 ** 24);
  checkNumber(`${origin}.normEps`, config.normEps, 0, 1);
  checkBoolean(`${origin}.tiedHead`, config.tiedHead);
  if (config.norm !== undefined) checkOneOf(`${origin}.norm`, config.norm, ['rms', 'layer']);
  if (config.positions !== undefined) checkInteger(`${origin}.positions`, config.positions, 1, 2 ** 24);
  checkMultipliers(`${origin}.multipliers`, config.multipliers);
  checkParallel(origin, config);
  const blocks = config.blocks.map((block, index) =>
    resolveBlock(originOf(origin, given, index), block, config.dModel),
  );
  const complete = Object.freeze({ ...config, blocks: Object.freeze(blocks) });
  resolved.add(complete);
  return complete;
}

/** The layers of a kind, with their indices. */
export function blocksOf<K extends BlockKind>(
  config: ModelConfig,
  kind: K,
): readonly { readonly layer: number; readonly block: BlockConfig<K> }[] {
  return config.blocks.flatMap((block, layer) =>
    block.kind === kind ? [{ layer, block: block as unknown as BlockConfig<K> }] : [],
  );
}

/**
 * The first of LayerNorm, factors other than 1, a table of positions, and parallel blocks that a model has, in words
 * that follow "the model". Undefined where it has none of these.
 */
export function beyondRms({ norm = 'rms', multipliers, positions, parallel = 1 }: ModelConfig): string | undefined {
  if (norm !== 'rms') return 'has LayerNorm';
  if (multiplies({ multipliers })) return 'has multipliers';
  if (positions !== undefined) return 'has a table of positions';
  return parallel > 1 ? 'has parallel blocks' : undefined;
}

/** Whether a model has multipliers other than 1. */
export function multiplies({ multipliers = {} }: Pick<ModelConfig, 'multipliers'>): boolean {
  return Object.values(multipliers).some((value) => value !== undefined && value !== 1);
}

/** Configs that were resolved before. They are frozen, so that they need no second check. */
const resolved = new WeakSet<object>();

const MODEL_KEYS = [
  'dModel',
  'vocabSize',
  'normEps',
  'tiedHead',
  'blocks',
  'norm',
  'multipliers',
  'positions',
  'parallel',
] as const satisfies readonly (keyof ModelConfig)[];

const MAX_LAYERS = 2 ** 16;

/** The flat form converted to a list of blocks. */
function listed(origin: string, config: ModelConfigLike): ModelConfig {
  if (typeof config !== 'object' || config === null) throw invalid(origin, String(config), 'a model config');
  const keys: readonly string[] = MAMBA_KEYS;
  if ('blocks' in config) {
    if (!Array.isArray(config.blocks) || config.blocks.length < 1 || config.blocks.length > MAX_LAYERS)
      throw invalid(
        `${origin}.blocks`,
        Array.isArray(config.blocks) ? `${config.blocks.length} blocks` : String(config.blocks),
        `a list of 1 to ${MAX_LAYERS} blocks, each { kind, … }`,
      );
    const flat = Object.keys(config).find((key) => key === 'layers' || keys.includes(key));
    if (flat !== undefined)
      throw invalid(
        `${origin}.${flat}`,
        'an option of the flat form beside blocks',
        'one of the two',
        'Set it in every block, or give { layers, dModel, vocabSize } and the option to modelConfig().',
      );
    return config;
  }
  checkOptions(origin, config, [...MODEL_KEYS.filter((key) => key !== 'blocks'), 'layers', 'kind', ...MAMBA_KEYS]);
  checkInteger(`${origin}.layers`, config.layers, 1, MAX_LAYERS);
  const entries = Object.entries(config);
  const block = Object.fromEntries(entries.filter(([key]) => keys.includes(key)));
  const model = Object.fromEntries(
    entries.filter(([key]) => key !== 'layers' && key !== 'kind' && !keys.includes(key)),
  );
  const { kind = 'mamba' } = config;
  const blocks = new Array(config.layers).fill({ kind, ...block }) as BlockConfig[];
  return { ...(model as Omit<ModelConfig, 'blocks'>), blocks };
}

/** The origin of a block's options in the config that the caller gave. */
function originOf(origin: string, given: ModelConfigLike, index: number): string {
  return 'blocks' in given ? `${origin}.blocks[${index}]` : origin;
}

function resolveBlock(origin: string, block: BlockConfig, dModel: number): BlockConfig {
  if (typeof block !== 'object' || block === null) throw invalid(origin, String(block), 'a block, { kind, … }');
  const definition = blockDefinition(`${origin}.kind`, block.kind);
  definition.check(origin, block, dModel);
  const given = Object.fromEntries(Object.entries(block).filter(([, value]) => value !== undefined));
  return Object.freeze({ ...definition.defaults, ...given }) as BlockConfig;
}

function checkMultipliers(origin: string, multipliers: ModelConfig['multipliers']): void {
  if (multipliers === undefined) return;
  checkOptions(origin, multipliers, ['embedding', 'residual', 'logits']);
  for (const [name, value] of Object.entries(multipliers))
    if (value !== undefined) checkNumber(`${origin}.${name}`, value, -Number.MAX_VALUE, Number.MAX_VALUE);
}

function checkParallel(origin: string, { parallel, blocks }: ModelConfig): void {
  if (parallel === undefined) return;
  checkInteger(`${origin}.parallel`, parallel, 1, MAX_LAYERS);
  if (blocks.length % parallel !== 0)
    throw invalid(`${origin}.parallel`, `${parallel} for ${blocks.length} blocks`, 'a divisor of their number');
}
