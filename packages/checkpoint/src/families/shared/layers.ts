import type { BlockConfig, MambaError } from '@mamba/core';
import { unsupported } from '../../errors.ts';

/** The layers of each kind that is not implemented: `{ attention: [4, 12], experts: [] }`. */
export type MissingKinds = Readonly<Record<string, readonly number[]>>;

/** The error that names the layers of a hybrid that are not implemented; undefined where there are none. */
export function unsupportedLayers(origin: string, missing: MissingKinds, expected: string): MambaError | undefined {
  const found = Object.entries(missing).filter(([, layers]) => layers.length > 0);
  if (found.length === 0) return undefined;
  return unsupported(origin, found.map(([what, layers]) => `${what} in ${listed(layers)}`).join(', '), expected);
}

/** The blocks of equal layers, each of one block or several. */
export function repeated(layers: number, layer: readonly BlockConfig[]): readonly BlockConfig[] {
  return Array.from({ length: layers }, () => layer).flat();
}

/** The layers whose index has this remainder. */
export function everyNth(layers: number, period: number, offset: number): readonly number[] {
  return Array.from({ length: layers }, (_, layer) => layer).filter((layer) => layer % period === offset);
}

function listed(layers: readonly number[]): string {
  const shown = layers.slice(0, 8).join(', ');
  const rest = layers.length > 8 ? ` and ${layers.length - 8} more` : '';
  return `layer${layers.length > 1 ? 's' : ''} ${shown}${rest}`;
}
