import type { BlockConfig, MambaError } from '@mamba/core';
import { unsupported } from '../../errors.ts';

/** Layers by what they have, which is not there yet: `{ attention: [4, 12], experts: [] }`. */
export type MissingKinds = Readonly<Record<string, readonly number[]>>;

/** The error that names the layers of a hybrid that are not there yet; undefined where all are. */
export function unsupportedLayers(origin: string, missing: MissingKinds, expected: string): MambaError | undefined {
  const found = Object.entries(missing).filter(([, layers]) => layers.length > 0);
  if (found.length === 0) return undefined;
  return unsupported(origin, found.map(([what, layers]) => `${what} in ${listed(layers)}`).join(', '), expected);
}

/** Blocks of layers that are alike, each of one block or several. */
export function repeated(layers: number, layer: readonly BlockConfig[]): readonly BlockConfig[] {
  return Array.from({ length: layers }, () => layer).flat();
}

/** Layers whose index leaves this remainder. */
export function everyNth(layers: number, period: number, offset: number): readonly number[] {
  return Array.from({ length: layers }, (_, layer) => layer).filter((layer) => layer % period === offset);
}

function listed(layers: readonly number[]): string {
  const shown = layers.slice(0, 8).join(', ');
  const rest = layers.length > 8 ? ` and ${layers.length - 8} more` : '';
  return `layer${layers.length > 1 ? 's' : ''} ${shown}${rest}`;
}
