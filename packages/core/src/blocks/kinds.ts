import { invalid } from '../contract/errors.ts';
import type { BlockDefinition } from './contract.ts';
import type { MambaConfig } from './mamba/config.ts';
import { mamba } from './mamba/mamba.ts';
import type { MlpConfig } from './mlp/config.ts';
import { mlp } from './mlp/mlp.ts';

/**
 * Kinds of blocks by name, with their configs. Another package adds its own by declaration merging,
 * `declare module '@mamba/core' { interface BlockKinds { retention: RetentionConfig } }`, and by `defineBlock`.
 */
export interface BlockKinds {
  mamba: MambaConfig;
  mlp: MlpConfig;
}

export type BlockKind = keyof BlockKinds & string;

/** One block of a model: its kind, and the kind's own sizes and options. */
export type BlockConfig<K extends BlockKind = BlockKind> = {
  [Kind in K]: { readonly kind: Kind } & BlockKinds[Kind];
}[K];

/**
 * A definition takes configs of its own kind alone, and is found by that kind: so the type of its config is left out.
 */
const definitions = new Map<string, unknown>([
  ['mamba', mamba],
  ['mlp', mlp],
]);

/**
 * Makes a kind known: call it once, before the first model with such blocks is made or checked. The same definition
 * may come again.
 * @throws MambaError `invalid-argument` where the name has another definition.
 */
export function defineBlock<K extends BlockKind>(kind: K, definition: BlockDefinition<BlockConfig<K>>): void {
  if (typeof kind !== 'string' || !/^[a-z][a-z0-9-]*$/.test(kind))
    throw invalid('defineBlock.kind', JSON.stringify(kind), 'a name of lower-case letters, digits and dashes');
  const known = definitions.get(kind);
  if (known !== undefined && known !== definition)
    throw invalid('defineBlock.kind', `a second definition of ${kind}`, 'one definition a kind', 'Take another name.');
  definitions.set(kind, definition);
}

/** @throws MambaError `invalid-argument` where no such kind is known. */
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
