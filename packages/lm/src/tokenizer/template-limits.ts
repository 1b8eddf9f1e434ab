/**
 * A chat template is an untrusted program that comes with a checkpoint. The interpreter counts its steps and measures
 * its values, so that the limits are the same on every machine.
 */
import { Interpreter } from '@huggingface/jinja';
import { MambaError } from '@mamba/core';

interface Value {
  readonly type: string;
  readonly value: unknown;
}

/** The part of jinja's interpreter that is used; TypeScript cannot resolve the package's own declarations. */
interface BaseInterpreter {
  run(program: unknown): Value;
  evaluate(node: Node | undefined, scope: unknown): Value;
}

/** A node of the template's syntax tree. A loop has an iterable, which may be filtered. */
interface Node {
  readonly type: string;
  readonly iterable?: Node;
  readonly lhs?: Node;
}

const Base = Interpreter as new (scope: unknown) => BaseInterpreter;

/**
 * Most evaluated nodes, plus the extra cost of loops, long strings and long lists. A long conversation takes about
 * 10,000 steps.
 */
const MAX_STEPS = 2_000_000;
/** Most characters of a value with all values within it. */
const MAX_SIZE = 2 ** 22;
/** Characters that an item of a list or object counts for, in addition to its own. */
const ITEM_SIZE = 16;
/** A string or list costs one extra step for each of these. */
const CHARACTERS_PER_STEP = 1024;
const ITEMS_PER_STEP = 64;
/** Cost of an iteration of a loop, without its body. */
const STEPS_PER_ITERATION = 8;

/** @throws MambaError `invalid-file` */
export function checkRange(start: number, stop: number, step: number, origin: string): void {
  if (!((stop - start) / step <= MAX_SIZE / ITEM_SIZE))
    throw limitExceeded(origin, `range(${start}, ${stop}, ${step})`, SIZE);
}

export class LimitedInterpreter extends Base {
  readonly #origin: string;
  readonly #sizes = new WeakMap<Value, number>();
  /** The nodes that loops iterate over. */
  readonly #iterated = new WeakSet<object>();
  #steps = 0;

  constructor(scope: unknown, origin: string) {
    super(scope);
    this.#origin = origin;
  }

  override evaluate(node: Node | undefined, scope: unknown): Value {
    this.#spend(1);
    if (node?.type === 'For')
      this.#iterated.add(node.iterable!.type === 'SelectExpression' ? node.iterable!.lhs! : node.iterable!);
    const value = super.evaluate(node, scope);
    const items = Array.isArray(value.value) ? value.value.length : value.value instanceof Map ? value.value.size : 0;
    if (node !== undefined && this.#iterated.has(node)) this.#spend(items * STEPS_PER_ITERATION);
    this.#spend(typeof value.value === 'string' ? value.value.length / CHARACTERS_PER_STEP : items / ITEMS_PER_STEP);
    // Measured before it is used: a value with shared parts may be printed as a far longer text.
    if (this.#measure(value, MAX_SIZE).size > MAX_SIZE) throw limitExceeded(this.#origin, 'a longer value', SIZE);
    return value;
  }

  #spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS) throw limitExceeded(this.#origin, 'no end', `one within ${MAX_STEPS} steps`);
  }

  /** Measures up to `limit`. A namespace can change, so that the size of a value that holds one is not cached. */
  #measure(value: Value, limit: number): { readonly size: number; readonly fixed: boolean } {
    if (value.type === 'StringValue') return { size: (value.value as string).length, fixed: true };
    const parts = partsOf(value);
    if (parts === undefined) return { size: 1, fixed: true };
    const known = this.#sizes.get(value);
    if (known !== undefined) return { size: known, fixed: true };
    let fixed = value.type !== 'NamespaceValue';
    let size = 0;
    for (const part of parts) {
      size += ITEM_SIZE;
      if (typeof part === 'string') size += part.length;
      else {
        const measured = this.#measure(part, limit - size);
        size += measured.size;
        fixed &&= measured.fixed;
      }
      if (size > limit) break;
    }
    if (fixed) this.#sizes.set(value, size);
    return { size, fixed };
  }
}

const SIZE = `at most ${MAX_SIZE} characters, an item of a list counting as ${ITEM_SIZE}`;

function partsOf({ value }: Value): Iterable<Value | string> | undefined {
  if (Array.isArray(value)) return value as Value[];
  return value instanceof Map ? (value as Map<string, Value>).values() : undefined;
}

function limitExceeded(origin: string, given: string, expected: string): MambaError {
  return new MambaError('invalid-file', `${origin} cannot be used`, {
    origin,
    given,
    expected,
    remedy: TEMPLATE_REMEDY,
  });
}

/** The advice for a template that cannot be used. */
export const TEMPLATE_REMEDY = 'Write the conversation as text, and give that as the prompt.';
