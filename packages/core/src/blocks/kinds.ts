import { invalid } from '../contract/errors.ts';
import { attention } from './attention/attention.ts';
import type { AttentionConfig } from './attention/config.ts';
import type { BlockDefinition } from './contract.ts';
import type { MambaConfig } from './mamba/config.ts';
import { mamba } from './mamba/mamba.ts';
import type { Mamba2Config } from './mamba2/config.ts';
import { mamba2 } from './mamba2/mamba2.ts';
import type { MlpConfig } from './mlp/config.ts';
import { mlp } from './mlp/mlp.ts';

/**
 * Kinds of blocks by name, with their configs. Another package adds its own by declaration merging,
 * `declare module '@mamba/core' { interface BlockKinds { retention: RetentionConfig } }`, and by `defineBlock`.
 */
export interface BlockKinds {
  attention: AttentionConfig;
  mamba: MambaConfig;
  mamba2: Mamba2Config;
  mlp: MlpConfig;
}

/** The name of a kind of blocks that the compiler knows of. */
export type BlockKind = keyof BlockKinds & string;

/** The config of one block of a model: its kind, with the kind's own sizes and options. */
export type BlockConfig<K extends BlockKind = BlockKind> = {
  [Kind in K]: { readonly kind: Kind } & BlockKinds[Kind];
}[K];

/** Definitions by kind. Each takes configs of its own kind alone, a type that a map cannot express. */
const definitions = new Map<string, unknown>([
  ['attention', attention],
  ['mamba', mamba],
  ['mamba2', mamba2],
  ['mlp', mlp],
]);

/**
 * Registers a kind. Call it once, before the first model with such blocks is made or checked; a second call with the
 * same definition does nothing.
 * @throws MambaError `invalid-argument` on a name that is not lower-case letters, digits and dashes, or that has
 * another definition.
 */
export function defineBlock<K extends BlockKind>(kind: K, definition: BlockDefinition<BlockConfig<K>>): void {
  if (typeof kind !== 'string' || !/^[a-z][a-z0-9-]*$/.test(kind))
    throw invalid('defineBlock.kind', JSON.stringify(kind), 'a name of lower-case letters, digits and dashes');
  const known = definitions.get(kind);
  if (known !== undefined && known !== definition)
    throw invalid('defineBlock.kind', `a second definition of ${kind}`, 'one definition a kind', 'Take another name.');
  definitions.set(kind, definition);
}

/**
 * The definition of a kind.
 * @throws MambaError `invalid-argument` where no such kind is registered.
 */
export function blockDefinition(origin: string, kind: string): BlockDefinition {
  const definition = definitions.get(kind);
  if (definition === undefined)
    throw invalid(
      origin,
      JSON.stringify(kind) ?? String(kind),
      `a kind of block: ${[...definitions.keys()].join(', ')}`,
      'Call defineBlock() of a kind of your own before its models are made.',
    );
  return definition as BlockDefinition;
}
