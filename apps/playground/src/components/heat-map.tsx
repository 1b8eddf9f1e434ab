import type { DeltaMap } from '@mamba/lm';
import { useEffect, useRef } from 'preact/hooks';
import type { Theme } from '../selection/colour.ts';
import { GAP, paintCells } from '../selection/paint.ts';
import type { Range } from '../selection/summary.ts';
import { useRoom } from './use-room.ts';

interface HeatMapProps {
  readonly map: DeltaMap;
  /** The range that the colours of each layer span. */
  readonly spans: readonly Range[];
  readonly theme: Theme;
  readonly token: number;
  /** The chosen layer; -1 for all. */
  readonly layer: number;
  /** A description of the map in words. */
  readonly description: string;
  readonly onChoose: (token: number, layer: number) => void;
}

/**
 * Least and largest width of a column, in CSS pixels. Columns are as wide as the box allows; rows are lower where there
 * are many.
 */
const COLUMNS = { min: 9, max: 28 };
/** Width of the column that numbers the rows. */
const ROWS = 26;
/** The largest width of a canvas in device pixels that all browsers allow. */
const MAX_WIDTH = 8192;

/**
 * A map of layers by tokens, which scrolls in its own box. The pointer chooses a cell; keyboard users have the fields
 * above.
 */
export function HeatMap({ map, spans, theme, token, layer, description, onChoose }: HeatMapProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const row = map.layers.length > 32 ? 8 : map.layers.length > 12 ? 14 : 24;
  const room = useRoom(canvas) - ROWS;
  const column = Math.min(Math.max(Math.floor(room / map.tokens), COLUMNS.min), COLUMNS.max);
  const width = map.tokens * column;
  const height = map.layers.length * row;

  useEffect(() => {
    const element = canvas.current!;
    const context = element.getContext('2d')!;
    const ratio = Math.min(devicePixelRatio, MAX_WIDTH / width);
    element.width = Math.round(width * ratio);
    element.height = Math.round(height * ratio);
    context.scale(ratio, ratio);
    paintCells(context, { map, spans, theme, column, row });
    context.strokeStyle = theme === 'dark' ? '#fff' : '#000';
    context.lineWidth = 2;
    const [top, rows] = layer < 0 ? [0, map.layers.length] : [layer, 1];
    context.strokeRect(token * column + 1, top * row + 1, column - GAP - 2, rows * row - GAP - 2);
  }, [map, spans, theme, token, layer, column, width, height, row]);

  // The chosen token is scrolled into view.
  useEffect(() => {
    const box = canvas.current!.parentElement!;
    const left = token * column;
    if (left < box.scrollLeft + column) box.scrollLeft = left - 4 * column;
    else if (left + ROWS + 2 * column > box.scrollLeft + box.clientWidth)
      box.scrollLeft = left + ROWS + 4 * column - box.clientWidth;
  }, [token, column]);

  const choose = (event: MouseEvent): void => {
    const box = canvas.current!.getBoundingClientRect();
    const at = (offset: number, size: number, limit: number): number =>
      Math.min(Math.max(Math.floor(offset / size), 0), limit - 1);
    onChoose(at(event.clientX - box.left, column, map.tokens), at(event.clientY - box.top, row, map.layers.length));
  };

  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
    <section class="map" tabIndex={0} aria-label="Heat map">
      <ol class="rows" aria-hidden="true" style={{ gridAutoRows: `${row}px` }}>
        {map.layers.map((_, index) => (
          <li key={index}>{row >= 14 || index % 8 === 7 ? index + 1 : ''}</li>
        ))}
      </ol>
      <canvas
        ref={canvas}
        role="img"
        aria-label={description}
        style={{ width: `${width}px`, height: `${height}px` }}
        onClick={choose}
      />
    </section>
  );
}
