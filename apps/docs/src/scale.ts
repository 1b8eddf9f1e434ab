// Scales, ticks and figures of the pictures of measurements.

/** Returns where a value lies between 0 and 1. */
export type Scale = (value: number) => number;

export function scaleOf(least: number, most: number, logarithmic: boolean): Scale {
  if (!logarithmic) return (value) => (value - least) / (most - least);
  const [from, to] = [Math.log(least), Math.log(most)];
  return (value) => (Math.log(value) - from) / (to - from);
}

/** The values that an axis of some pixels labels: powers of ten, or round steps from zero. */
export function ticksOf(least: number, most: number, logarithmic: boolean): readonly number[] {
  if (logarithmic) {
    const [from, to] = [Math.ceil(Math.log10(least)), Math.floor(Math.log10(most))];
    return Array.from({ length: to - from + 1 }, (_, index) => 10 ** (from + index));
  }
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= rough)!;
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, index) => index * step);
}

/** The whole powers of ten that hold all values, or zero and a little more than the greatest. */
export function domainOf(values: readonly number[], logarithmic: boolean): readonly [number, number] {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return logarithmic ? [10 ** Math.floor(Math.log10(least)), 10 ** Math.ceil(Math.log10(most))] : [0, most * 1.1];
}

/** A figure with three digits that count. */
export function figure(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en');
  return Number(value.toPrecision(3)).toLocaleString('en', { maximumSignificantDigits: 3 });
}

const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });
/** A figure of an axis, which has little room. */
export const tickLabel = (value: number): string => compact.format(value);

/** A length as a power of two where it is one, so that the labels of an axis have room. */
export function lengthLabel(value: number): string {
  return value >= 1024 ? `${value / 1024}k` : `${value}`;
}
