import Table from 'cli-table3';
import stringWidth from 'string-width';

export interface TableOptions {
  /** Columns that are aligned to the right. */
  readonly right?: readonly number[];
  /** The most columns of a terminal that the whole table takes; undefined has no limit. */
  readonly width?: number | undefined;
}

/** A table as text. Where it would not fit it has no borders, and its widest columns are wrapped. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { right = [], width = Number.POSITIVE_INFINITY }: TableOptions = {},
): string {
  const all = head.length > 0 ? [head, ...rows] : rows;
  const natural = Array.from({ length: all[0]?.length ?? 0 }, (_, column) =>
    Math.max(1, ...all.map((row) => stringWidth(row[column] ?? ''))),
  );
  const sum = natural.reduce((total, columns) => total + columns, 0);
  // With borders, a column has one before it and a space on either side; one more ends the line.
  const bordered = sum + 3 * natural.length + 1 <= width;
  const widths = bordered ? natural : shrink(natural, width - GAP.length * (natural.length - 1));
  const fitted = (row: readonly string[]): string[] => row.map((cell, column) => wrap(cell, widths[column]!));
  const made = new Table({
    head: fitted(head),
    colAligns: natural.map((_, column) => (right.includes(column) ? 'right' : 'left')),
    ...(!bordered && { chars: NO_BORDERS }),
    style: { head: [], border: [], compact: true, ...(!bordered && { 'padding-left': 0, 'padding-right': 0 }) },
  });
  for (const row of rows) made.push(fitted(row));
  return made.toString();
}

/** Takes columns from the widest, one after the other, until they fit in `room` or each has one. */
export function shrink(widths: readonly number[], room: number): number[] {
  const fitted = [...widths];
  for (let over = fitted.reduce((sum, width) => sum + width, 0) - room; over > 0; over--) {
    const widest = fitted.indexOf(Math.max(...fitted));
    if (fitted[widest] === 1) break;
    fitted[widest]!--;
  }
  return fitted;
}

/** Breaks lines behind spaces and the parts of a name, or where there are none, anywhere. */
export function wrap(text: string, width: number): string {
  const lines = [''];
  const parts = text.split(/(?<=[\s./])/).flatMap((part) => (stringWidth(part.trimEnd()) > width ? [...part] : [part]));
  for (const part of parts) {
    if (stringWidth(lines.at(-1)! + part.trimEnd()) > width) lines.push('');
    lines[lines.length - 1] += part;
  }
  return lines.map((line) => line.trimEnd()).join('\n');
}

const GAP = '  ';

const NO_BORDERS = {
  ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '', 'bottom-left': '' },
  ...{ 'bottom-right': '', left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '' },
  middle: GAP,
};
