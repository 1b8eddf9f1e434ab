import type { MambaError } from '@mamba/core';
import { damaged, show, unsupported } from '../errors.ts';

/** The largest plausible size; larger ones are taken as damage. */
export const MAX_SIZE = 2 ** 24;
export const MAX_LAYERS = 2 ** 16;

/** Reads the fields of a JSON object and checks each of them. Errors name the field as in the file. */
export class Fields {
  readonly #origin: string;
  readonly #values: ReadonlyMap<string, unknown>;

  /** @throws MambaError `invalid-file` where `json` is no object. */
  constructor(origin: string, json: unknown) {
    if (typeof json !== 'object' || json === null || Array.isArray(json))
      throw damaged(origin, show(json), 'a JSON object');
    this.#origin = origin;
    this.#values = new Map(Object.entries(json));
  }

  get names(): readonly string[] {
    return [...this.#values.keys()];
  }

  /** The value of a field; undefined where it is absent or null. */
  get(name: string): unknown {
    return this.#values.get(name) ?? undefined;
  }

  origin(name: string): string {
    return `${this.#origin}: ${name}`;
  }

  /**
   * An integer under any of several names. Where the file has several of them, they must agree. Without a fallback, it
   * is required.
   */
  integer(names: readonly [string, ...string[]], min: number, max: number, fallback?: number): number {
    const present = names.filter((name) => this.get(name) !== undefined);
    const [first = names[0], ...others] = present;
    const value = this.get(first) ?? fallback;
    if (!(Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max))
      throw damaged(this.origin(first), show(value), `an integer from ${min} to ${max}`);
    for (const other of others) {
      if (this.get(other) !== value)
        throw damaged(this.origin(other), show(this.get(other)), `${show(value)}, as ${first} says`);
    }
    return value as number;
  }

  number(name: string, min: number, max: number, fallback: number): number {
    const value = this.get(name) ?? fallback;
    if (!(typeof value === 'number' && value >= min && value <= max))
      throw damaged(this.origin(name), show(value), `a number from ${min} to ${max}`);
    return value;
  }

  /**
   * A list of `count` numbers; undefined where the field is absent. They may be infinite, which transformers also
   * writes as `{ "__float__": "Infinity" }`.
   */
  floats(name: string, count: number): readonly number[] | undefined {
    const value = this.get(name);
    if (value === undefined) return undefined;
    const numbers = Array.isArray(value) ? value.map(floatOf) : [];
    if (numbers.length !== count || !numbers.every((item) => typeof item === 'number' && !Number.isNaN(item)))
      throw damaged(this.origin(name), show(value), `a list of ${count} numbers`);
    return numbers as number[];
  }

  boolean(name: string, fallback: boolean): boolean {
    const value = this.get(name) ?? fallback;
    if (typeof value !== 'boolean') throw damaged(this.origin(name), show(value), 'true or false');
    return value;
  }

  /**
   * A field that is one of the allowed words.
   * @throws MambaError `unsupported` for another word, which is valid but not implemented.
   */
  oneOf(name: string, allowed: readonly string[], fallback: string): string {
    const value = this.get(name) ?? fallback;
    if (!allowed.includes(value as string)) throw this.unsupported(name, show(value), allowed.join(' or '));
    return value as string;
  }

  /** The error for a field whose value is not implemented. */
  unsupported(name: string, given: string, expected: string): MambaError {
    return unsupported(this.origin(name), given, expected);
  }

  object(name: string): Fields | undefined {
    const value = this.get(name);
    return value === undefined ? undefined : new Fields(this.origin(name), value);
  }
}

function floatOf(value: unknown): unknown {
  const { __float__: text } = (typeof value === 'object' && value !== null ? value : {}) as { __float__?: unknown };
  return text === 'Infinity' || text === '-Infinity' ? Number(text) : value;
}
