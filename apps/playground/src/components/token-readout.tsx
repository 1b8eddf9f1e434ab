import type { Look, View } from '../selection/looks.ts';
import { position, ranges, readout } from '../selection/summary.ts';

interface TokenReadoutProps {
  readonly look: Look;
  readonly view: View;
  /** A token of the look. */
  readonly token: number;
}

/** One token: a bar for each layer, as high as its delta lies in the layer's range, and the numbers. */
export function TokenReadout({ look: { map, labels }, view, token }: TokenReadoutProps) {
  const spans = ranges(map, view.scale);
  const layer = Math.min(view.layer, map.layers.length - 1);
  return (
    <p class="readout">
      <span class="bars" aria-hidden="true">
        {map.layers.map((values, index) => (
          <i
            key={index}
            class={index === layer ? 'here' : ''}
            style={{ height: `${8 + 92 * position(values[token]!, spans[index]!)}%` }}
          />
        ))}
      </span>
      <output aria-live="polite">{readout(map.layers, labels[token]!, token, layer)}</output>
    </p>
  );
}
