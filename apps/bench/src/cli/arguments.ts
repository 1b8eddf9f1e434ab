/** Parsers of options' values, for commander. */
import { InvalidArgumentError } from 'commander';

/** Splits a list: `--suite scan,block` and `--suite scan block` alike. */
export function splitList(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, ...value.split(',').filter((name) => name !== '')];
}

export function splitNames(known: readonly string[], what: string) {
  return (value: string, previous: readonly string[] = []): readonly string[] => {
    const names = splitList(value);
    const wrong = names.find((name) => !known.includes(name));
    if (wrong !== undefined)
      throw new InvalidArgumentError(`There is no ${what} ${JSON.stringify(wrong)}; there are ${known.join(', ')}.`);
    return [...previous, ...names];
  };
}

/** Positive integers, also as powers: `2^14`. */
export function splitCounts(value: string, previous: readonly number[] = []): readonly number[] {
  const counts = splitList(value).map((text) => {
    const [, base, exponent = '1'] = /^(\d+)(?:\^(\d+))?$/.exec(text) ?? [];
    const count = Number(base) ** Number(exponent);
    if (!(Number.isSafeInteger(count) && count >= 1))
      throw new InvalidArgumentError(`${JSON.stringify(text)} is not a positive integer.`);
    return count;
  });
  return [...previous, ...counts];
}

/** A single positive integer, also as a power. Further ones are refused. */
export function parseCount(value: string, previous?: number | undefined): number {
  const [count, ...others] = splitCounts(value);
  if (count === undefined || others.length > 0 || previous !== undefined)
    throw new InvalidArgumentError(`It takes one number, and ${JSON.stringify(value)} is not the only one.`);
  return count;
}

export function parsePercent(value: string): number {
  const percent = Number(value.replace(/\s*%$/, ''));
  if (value.trim() === '' || !Number.isFinite(percent) || percent < 0)
    throw new InvalidArgumentError(`${JSON.stringify(value)} is not a percentage of 0 or more.`);
  return percent / 100;
}

/** Parses each entry of a list; `parse` gives undefined where an entry is not of the form. */
export function splitParsed<T>(parse: (text: string) => T | undefined, form: string) {
  return (value: string, previous: readonly T[] = []): readonly T[] => [
    ...previous,
    ...splitList(value).map((text) => {
      const parsed = parse(text);
      if (parsed === undefined) throw new InvalidArgumentError(`${JSON.stringify(text)} is not of the form ${form}.`);
      return parsed;
    }),
  ];
}

/** A single positive number. */
export function parsePositive(value: string): number {
  const number = Number(value);
  if (!(Number.isFinite(number) && number > 0))
    throw new InvalidArgumentError(`${JSON.stringify(value)} is not a positive number.`);
  return number;
}
