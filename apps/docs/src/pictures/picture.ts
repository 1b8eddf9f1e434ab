// What a picture of measurements holds.
export interface Point {
  /** A name for bars, a number for lines. */
  readonly x: string | number;
  readonly y: number;
}

export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
}

export interface Picture {
  readonly id: string;
  readonly title: string;
  /** Bars have names below each other; lines have a logarithmic axis of `x`. */
  readonly kind: 'bars' | 'lines';
  /** What the rows of the table are, and the axis of lines. */
  readonly x: string;
  readonly unit: string;
  /** Whether the axis of `y` is logarithmic. Bars, and lines that are to be flat, begin at zero. */
  readonly logarithmic: boolean;
  readonly better: 'more' | 'less';
  readonly series: readonly Series[];
  readonly machine: string;
  readonly date: string;
  readonly files: readonly string[];
}

/** The day of a time. */
export const dayOf = (time: string): string => time.slice(0, 10);

/** The name of a GPU, which its driver writes in small letters. */
export const gpuOf = (device: string): string => device.replaceAll('-', ' ').toUpperCase();
