import type { DeltaMap } from '@mamba/lm';
import { count } from '../format.ts';

/** The range that colours span: that of each layer, or one for all. */
export type Scale = 'layer' | 'all';

/** Smallest and largest delta of a layer, or of all. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

export function ranges({ layers }: DeltaMap, scale: Scale): readonly Range[] {
  const own = layers.map(rangeOf);
  if (scale === 'layer') return own;
  const all = { min: Math.min(...own.map(({ min }) => min)), max: Math.max(...own.map(({ max }) => max)) };
  return own.map(() => all);
}

/** Returns the position of a value in a range, from 0 to 1; 0 where all values are equal. */
export function position(value: number, { min, max }: Range): number {
  return max > min ? (value - min) / (max - min) : 0;
}

/**
 * Returns for each token the mean over layers of its position in the layer's range, so that every layer counts alike,
 * whatever the size of its steps.
 */
export function openness({ layers, tokens }: DeltaMap): Float32Array {
  const means = new Float32Array(tokens);
  for (const layer of layers) {
    const range = rangeOf(layer);
    for (let token = 0; token < tokens; token++) means[token]! += position(layer[token]!, range) / layers.length;
  }
  return means;
}

/** Describes the map in words, for readers who do not see it. */
export function describe(map: DeltaMap, labels: readonly string[]): string {
  const open = openness(map);
  const order = Array.from(open.keys()).sort((a, b) => open[b]! - open[a]!);
  const name = (token: number): string => `${quoted(labels[token]!)} (token ${token + 1})`;
  const named = Math.min(3, Math.floor(map.tokens / 2));
  const spans = map.layers.map((layer, index) => {
    const { min, max } = rangeOf(layer);
    return `${index + 1}: ${format(min)} to ${format(max)}`;
  });
  const parts = [`Heat map of delta for ${count(map.tokens, 'token')} in ${count(map.layers.length, 'layer')}.`];
  if (named > 0)
    parts.push(
      `Let in most: ${order.slice(0, named).map(name).join(', ')}.`,
      `Passed over most: ${order.slice(-named).reverse().map(name).join(', ')}.`,
    );
  parts.push(`Range by layer: ${spans.join('; ')}.`);
  return parts.join(' ');
}

/** The values of a token, of one layer or of all, in words. @param layer -1 for all. */
export function readout(layers: readonly Float32Array[], label: string, token: number, layer: number): string {
  if (layer >= 0) return `${quoted(label)}, layer ${layer + 1}: Δ ${format(layers[layer]![token]!)}`;
  const values = layers.map((values) => format(values[token]!));
  return `${quoted(label)}: Δ ${values.join(' · ')} in layers 1 to ${layers.length}`;
}

/** Returns a token's text with invisible characters made visible. */
export function quoted(text: string): string {
  return `“${visible(text)}”`;
}

export function visible(text: string): string {
  return text
    .replaceAll('\n', '↵')
    .replaceAll('\t', '⇥')
    .replace(/^ +| +$/g, (spaces) => '␣'.repeat(spaces.length));
}

export function format(value: number): string {
  return value.toPrecision(3);
}

function rangeOf(values: Float32Array): Range {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  return { min, max };
}
