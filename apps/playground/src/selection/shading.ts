import type { Shading } from '../components/shaded-text.tsx';
import type { Look, View } from './looks.ts';
import { shades } from './shades.ts';
import { ranges } from './summary.ts';

/**
 * How a look shades its text; undefined where there is none, or where it begins before the text that is shown.
 * @param hidden Characters before those that are shown.
 */
export function shadingOf(look: Look | undefined, view: View, hidden: number): Shading | undefined {
  if (look === undefined) return undefined;
  const { map, labels, place } = look;
  if (place.start < hidden) return undefined;
  const values = shades(map, ranges(map, view.scale), Math.min(view.layer, map.layers.length - 1));
  return {
    start: place.start - hidden,
    labels: labels.slice(place.first),
    shades: Array.from(values).slice(place.first),
    first: place.first,
  };
}
