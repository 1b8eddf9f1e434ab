/** What the plots have in common: their look, and round ticks of logarithmic axes. */

/** Keeps a label legible that lies over lines. */
export const HALO = { stroke: 'var(--card)', strokeWidth: 4 };
export const STYLE = { fontFamily: 'inherit', fontSize: '12px', background: 'none', overflow: 'visible' };

/**
 * Makes a plot one image with a name. Plot names its groups, which have no roles, so that a reader of the screen would
 * hear “line”, “dot” and “area”; the grid keeps a class, for the style sheet.
 */
export function asImage(svg: Element, name: string): Element {
  for (const group of svg.querySelectorAll('[aria-label]')) {
    if (group.getAttribute('aria-label')!.endsWith('grid')) group.classList.add('grid');
    group.removeAttribute('aria-label');
  }
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', name);
  return svg;
}

/** A quantity at a tick, which is round: `10 µs`, not `10.0 µs`. */
export const round = (quantity: string): string => quantity.replace(/\.0+(?= |$)/, '');

/** A power of two with its exponent raised; nothing for other numbers. */
export function power(value: number): string {
  const exponent = Math.log2(value);
  if (!Number.isInteger(exponent)) return '';
  return `2${[...String(exponent)].map((digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(digit)]).join('')}`;
}

/** The powers of ten that the values span, with their doubles and halves where there are few. */
export function roundTimes(values: readonly number[]): number[] {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const [low, high] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most))];
  const timesOf = (steps: readonly number[]): number[] =>
    Array.from({ length: high - low + 1 }, (_, index) => index + low)
      .flatMap((exponent) => steps.map((step) => Number(`${step}e${exponent}`)))
      .filter((time) => time > least && time < most);
  const times = timesOf(high - low > 2 ? [1] : [1, 2]);
  return times.length > 1 ? times : timesOf([1, 2, 5]);
}

/** The powers of two that lie between the values: all of them where there are few, or else the powers of four. */
export function roundBytes(values: readonly number[]): number[] {
  const logs = values.map((value) => Math.log2(value));
  const [least, most] = [Math.min(...logs), Math.max(...logs)];
  const step = most - least > 5 ? 2 : 1;
  const first = step * Math.ceil(least / step);
  return Array.from(
    { length: Math.max(0, Math.floor((most - first) / step) + 1) },
    (_, index) => 2 ** (first + step * index),
  );
}
