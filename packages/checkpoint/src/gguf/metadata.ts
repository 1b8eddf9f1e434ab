import { damaged, quote, show } from '../errors.ts';

/**
 * A metadata value. 64-bit integers are numbers where a number holds them exactly, else bigints. Arrays hold one type.
 */
export type GgufValue = number | bigint | boolean | string | readonly (number | bigint | boolean | string)[];

/** A metadata value with the type that it is written in. */
export type TypedValue =
  | { readonly type: 'uint32' | 'int32' | 'float32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'int32[]'; readonly value: readonly number[] }
  | { readonly type: 'string[]'; readonly value: readonly string[] };

/** Reads metadata values and checks each of them. Errors name the key. */
export class Metadata {
  readonly name: string;
  readonly values: ReadonlyMap<string, GgufValue>;

  constructor(name: string, values: ReadonlyMap<string, GgufValue>) {
    this.name = name;
    this.values = values;
  }

  origin(key: string): string {
    return `${this.name}: ${quote(key)}`;
  }

  /** An integer. Without a fallback, the key is required. */
  integer(key: string, min: number, max: number, fallback?: number): number {
    const value = this.values.get(key) ?? fallback;
    if (!(Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max))
      throw this.#wrong(key, `an integer from ${min} to ${max}`);
    return value as number;
  }

  number(key: string, min: number, max: number): number {
    const value = this.values.get(key);
    if (!(typeof value === 'number' && value >= min && value <= max))
      throw this.#wrong(key, `a number from ${min} to ${max}`);
    return value;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.values.get(key) ?? fallback;
    if (typeof value !== 'boolean') throw this.#wrong(key, 'true or false');
    return value;
  }

  string(key: string, fallback?: string): string {
    const value = this.values.get(key) ?? fallback;
    if (typeof value !== 'string') throw this.#wrong(key, 'a string');
    return value;
  }

  strings(key: string): readonly string[] {
    const value = this.values.get(key);
    if (!(Array.isArray(value) && value.every((item) => typeof item === 'string')))
      throw this.#wrong(key, 'an array of strings');
    return value as readonly string[];
  }

  /** A list of integers; undefined where the key is absent. */
  integers(key: string): readonly number[] | undefined {
    const value = this.values.get(key);
    if (value === undefined) return undefined;
    if (!(Array.isArray(value) && value.every((item) => Number.isSafeInteger(item))))
      throw this.#wrong(key, 'an array of integers');
    return value as readonly number[];
  }

  #wrong(key: string, expected: string): Error {
    const value = this.values.get(key);
    const given = typeof value === 'bigint' ? String(value) : Array.isArray(value) ? 'an array' : show(value);
    return damaged(this.origin(key), given, expected);
  }
}
