import type { DeltaMap } from '@mamba/lm';
import { position, type Range, readout } from '../selection/summary.ts';

interface TokenReadoutProps {
  readonly map: DeltaMap;
  readonly spans: readonly Range[];
  readonly label: string;
  readonly token: number;
  /** The chosen layer; -1 for all. */
  readonly layer: number;
}

/** One token: a bar for each layer, as high as its delta lies in the layer's range, and the numbers. */
export function TokenReadout({ map, spans, label, token, layer }: TokenReadoutProps) {
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
      <output aria-live="polite">{readout(map.layers, label, token, layer)}</output>
    </p>
  );
}
