import { checkRange } from './template-limits.ts';

/** The globals that transformers gives to templates. @param origin Names the template in errors. */
export function templateGlobals(origin: string): Readonly<Record<string, unknown>> {
  return {
    ...{ true: true, True: true, false: false, False: false, none: null, None: null },
    raise_exception: (message: string) => {
      throw new Error(message);
    },
    range: (first: number, second?: number, step = 1) => {
      const [start, stop] = second === undefined ? [0, first] : [first, second];
      return range(start, stop, step, origin);
    },
    strftime_now: (format: string) => strftime(new Date(), format),
  };
}

function range(start: number, stop: number, step: number, origin: string): number[] {
  if (![start, stop, step].every(Number.isFinite) || step === 0)
    throw new Error('range() wants numbers, and no step of 0');
  checkRange(start, stop, step, origin);
  const count = Math.max(0, Math.ceil((stop - start) / step));
  return Array.from({ length: count }, (_, index) => start + index * step);
}

/** Python's `strftime` in the C locale, with the directives that templates use. */
function strftime(date: Date, format: string): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const word = (options: Intl.DateTimeFormatOptions): string => new Intl.DateTimeFormat('en-US', options).format(date);
  const parts: Readonly<Record<string, () => string>> = {
    '%Y': () => String(date.getFullYear()),
    '%m': () => two(date.getMonth() + 1),
    '%d': () => two(date.getDate()),
    '%b': () => word({ month: 'short' }),
    '%B': () => word({ month: 'long' }),
    '%a': () => word({ weekday: 'short' }),
    '%A': () => word({ weekday: 'long' }),
    '%H': () => two(date.getHours()),
    '%M': () => two(date.getMinutes()),
    '%S': () => two(date.getSeconds()),
    '%%': () => '%',
  };
  return format.replace(/%[a-zA-Z%]/g, (part) => parts[part]?.() ?? part);
}
