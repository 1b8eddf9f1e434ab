import { ramp } from './colour.ts';
import { type Cells, paintCells } from './paint.ts';
import { visible } from './summary.ts';

interface PictureOptions extends Omit<Cells, 'column' | 'row'> {
  /** The text of each token. */
  readonly labels: readonly string[];
  /** What the picture shows, in a line above it. */
  readonly title: string;
  /** What the colours span, in a line below it. */
  readonly note: string;
  /** Colours of the paper and of the ink. */
  readonly paper: string;
  readonly ink: string;
}

/** In CSS pixels. */
const COLUMN = 18;
const ROW = 22;
const MARGIN = 20;
const LINE = 26;
/** The width of the numbers of layers, and the most that a token's text takes below the map. */
const NUMBERS = 26;
const LONGEST = 120;
const LEGEND = 110;
const SMALLEST = 460;
/** The largest width of a canvas in device pixels that all browsers allow. */
const WIDEST = 8192;
const FONT = '13px system-ui, sans-serif';

/** A heat map as a picture that stands by itself: with its title, tokens, numbers of layers and legend. */
export function pictureOf(options: PictureOptions): HTMLCanvasElement {
  const { map, labels, title, note, paper, ink, theme } = options;
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d')!;
  context.font = FONT;
  const longest = Math.min(LONGEST, Math.max(...labels.map((label) => context.measureText(visible(label)).width)));
  const [left, top] = [MARGIN + NUMBERS, MARGIN + LINE];
  const below = top + map.layers.length * ROW;
  const width = Math.max(SMALLEST, left + map.tokens * COLUMN + MARGIN);
  const height = Math.ceil(below + 10 + longest + LINE + MARGIN);
  const ratio = Math.min(2, WIDEST / width);
  canvas.width = Math.floor(width * ratio);
  canvas.height = Math.floor(height * ratio);
  context.scale(ratio, ratio);
  context.fillStyle = paper;
  context.fillRect(0, 0, width, height);

  context.save();
  context.translate(left, top);
  paintCells(context, { ...options, column: COLUMN, row: ROW });
  context.restore();

  context.fillStyle = ink;
  context.textBaseline = 'middle';
  context.font = `600 ${FONT}`;
  context.fillText(title, MARGIN, MARGIN + LINE / 2 - 6);
  context.font = FONT;
  context.textAlign = 'right';
  for (let layer = 0; layer < map.layers.length; layer++)
    context.fillText(String(layer + 1), left - 8, top + (layer + 0.5) * ROW);
  for (const [token, label] of labels.entries()) {
    context.save();
    context.translate(left + (token + 0.5) * COLUMN, below + 6);
    // From the bottom to the top, so that the text ends at its column.
    context.rotate(-Math.PI / 2);
    context.fillText(visible(label), 0, 0, LONGEST);
    context.restore();
  }

  const line = height - MARGIN - LINE / 2 + 8;
  context.textAlign = 'left';
  context.fillText('passes over', MARGIN, line);
  const begin = MARGIN + context.measureText('passes over').width + 8;
  const gradient = context.createLinearGradient(begin, 0, begin + LEGEND, 0);
  const stops = ramp(theme);
  for (const [index, stop] of stops.entries()) gradient.addColorStop(index / (stops.length - 1), stop);
  context.fillStyle = gradient;
  context.fillRect(begin, line - 6, LEGEND, 12);
  context.fillStyle = ink;
  context.fillText(`lets in · ${note}`, begin + LEGEND + 8, line);
  return canvas;
}
