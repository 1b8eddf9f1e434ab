import type { DeltaMap } from '@mamba/lm';
import { colour, type Theme } from './colour.ts';
import { position, type Range } from './summary.ts';

export interface Cells {
  readonly map: DeltaMap;
  /** The range that the colours of each layer span. */
  readonly spans: readonly Range[];
  readonly theme: Theme;
  /** The width and the height of a cell. */
  readonly column: number;
  readonly row: number;
}

/** The space between two cells. */
export const GAP = 1;

/** Paints a cell for each layer and token, from the origin of the context on. */
export function paintCells(
  context: Pick<CanvasRenderingContext2D, 'fillStyle' | 'fillRect'>,
  { map, spans, theme, column, row }: Cells,
): void {
  for (const [at, values] of map.layers.entries())
    for (let token = 0; token < map.tokens; token++) {
      context.fillStyle = colour(position(values[token]!, spans[at]!), theme).fill;
      context.fillRect(token * column, at * row, column - GAP, row - GAP);
    }
}
