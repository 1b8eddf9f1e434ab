/** Where a chart is drawn, and what it is. */
import * as Plot from '@observablehq/plot';
import { STYLE } from '../axes.ts';

export interface Chart {
  readonly title: string;
  readonly caption: string;
  /** The colours and what they stand for; `always`, or where the drawing has no room for labels beside its lines. */
  readonly legend?: { readonly items: readonly LegendItem[]; readonly always?: boolean };
  /** Draws it, since a wide page and a narrow one have a drawing each. */
  draw(canvas: Canvas): Element;
}

export interface LegendItem {
  readonly label: string;
  /** A CSS colour. */
  readonly color: string;
}

export interface Canvas {
  /** linkedom's for a file, the browser's own on the web page. */
  readonly document: Document;
  /** Pixels. */
  readonly width: number;
  /** True where labels have no room beside what they name. */
  readonly narrow: boolean;
}

/** For a window or a sheet of paper; and for a phone, whose text is as large. */
export const WIDE = { width: 760, narrow: false };
export const NARROW = { width: 330, narrow: true };

export function plot({ document, width }: Canvas, options: Plot.PlotOptions): Element {
  return Plot.plot({ document, width, style: STYLE, className: 'plot', ...options });
}

/** The room beside lines for their labels; little where a legend has them. */
export function labelRoom({ narrow }: Canvas, items: readonly { readonly label: string }[]): number {
  return narrow ? 14 : textRoom(items.map(({ label }) => label)) + 16;
}

/** The pixels that the longest of these texts takes at most. */
export function textRoom(texts: readonly string[]): number {
  return Math.ceil(7 * Math.max(...texts.map(({ length }) => length)));
}
