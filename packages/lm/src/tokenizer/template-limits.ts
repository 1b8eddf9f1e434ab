/**
 * A chat template is a program of whoever made the checkpoint. It is counted while it runs, so that it ends after so
 * many steps and with so much text, the same on every machine.
 */
import { Interpreter } from '@huggingface/jinja';
import { MambaError } from '@mamba/core';

interface Value {
  readonly type: string;
  readonly value: unknown;
}

/** As far as this goes: the package's own declarations cannot be read by TypeScript's resolution of today. */
interface Runs {
  run(program: unknown): Value;
  evaluate(node: Node | undefined, scope: unknown): Value;
}

/** Of the template: a loop has an iterable, which may be filtered. */
interface Node {
  readonly type: string;
  readonly iterable?: Node;
  readonly lhs?: Node;
}

const Base = Interpreter as new (scope: unknown) => Runs;

/**
 * Nodes of the template that are evaluated, and what loops, long texts and lists cost beyond. A long conversation takes
 * some 10,000.
 */
const MAX_STEPS = 2_000_000;
/** Characters of a value, whatever is within it; an item of a list or an object counts as 16. */
const MAX_SIZE = 2 ** 22;
const ITEM = 16;
/** What costs one step more. */
const CHARACTERS_A_STEP = 1024;
const ITEMS_A_STEP = 64;
/** Of a loop, its body aside. */
const STEPS_A_ROUND = 8;

/** @throws MambaError `invalid-file` */
export function checkRange(start: number, stop: number, step: number, origin: string): void {
  if (!((stop - start) / step <= MAX_SIZE / ITEM)) throw tooMuch(origin, `range(${start}, ${stop}, ${step})`, SIZE);
}

export class LimitedInterpreter extends Base {
  readonly #origin: string;
  readonly #sizes = new WeakMap<Value, number>();
  /** What loops go through. */
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
    if (node !== undefined && this.#iterated.has(node)) this.#spend(items * STEPS_A_ROUND);
    this.#spend(typeof value.value === 'string' ? value.value.length / CHARACTERS_A_STEP : items / ITEMS_A_STEP);
    // Here, before anything is done with it: what is written of a value may be far longer than it is, where its parts
    // are shared.
    if (this.#measure(value, MAX_SIZE).size > MAX_SIZE) throw tooMuch(this.#origin, 'a longer value', SIZE);
    return value;
  }

  #spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS) throw tooMuch(this.#origin, 'no end', `one within ${MAX_STEPS} steps`);
  }

  /** No further than to `limit`. A namespace may change, so that nothing that holds one is remembered. */
  #measure(value: Value, limit: number): { readonly size: number; readonly fixed: boolean } {
    if (value.type === 'StringValue') return { size: (value.value as string).length, fixed: true };
    const parts = partsOf(value);
    if (parts === undefined) return { size: 1, fixed: true };
    const known = this.#sizes.get(value);
    if (known !== undefined) return { size: known, fixed: true };
    let fixed = value.type !== 'NamespaceValue';
    let size = 0;
    for (const part of parts) {
      size += ITEM;
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

const SIZE = `at most ${MAX_SIZE} characters, an item of a list counting as ${ITEM}`;

function partsOf({ value }: Value): Iterable<Value | string> | undefined {
  if (Array.isArray(value)) return value as Value[];
  return value instanceof Map ? (value as Map<string, Value>).values() : undefined;
}

function tooMuch(origin: string, given: string, expected: string): MambaError {
  return new MambaError('invalid-file', `${origin} cannot be used`, {
    origin,
    given,
    expected,
    remedy: TEMPLATE_REMEDY,
  });
}

/** For a template that cannot be used with these messages, or at all. */
export const TEMPLATE_REMEDY = 'Write the conversation as text, and give that as the prompt.';
