/**
 * Reads Python's pickle format without running anything. Containers, numbers and texts become values; names that a
 * pickle would import and call are looked up among those that the caller allows. Everything else is refused by name.
 */
import { damaged, quote } from '../errors.ts';
import { PickleCursor } from './pickle-cursor.ts';

/** A function that a pickle may call. */
export class Callable {
  readonly name: string;
  readonly call: (args: readonly unknown[]) => unknown;

  constructor(name: string, call: (args: readonly unknown[]) => unknown) {
    this.name = name;
    this.call = call;
  }
}

export interface PickleEnvironment {
  /** The value of `module.name`. Throws for names that are not allowed. */
  global(module: string, name: string): unknown;
  /** The value of an id that refers to something outside of the pickle. */
  persistent(id: unknown): unknown;
}

/** A value of a pickle. Dictionaries are Maps, lists and tuples are arrays, None is null. */
export interface Unpickled {
  readonly value: unknown;
  /** The offset of the byte after the pickle. */
  readonly end: number;
}

/**
 * Reads the pickle that begins at `start`.
 * @throws MambaError `invalid-file` where it is no pickle, and the errors of `environment`; OutOfBytes where the bytes
 * end before the pickle does.
 */
export function readPickle(
  origin: string,
  bytes: Uint8Array,
  start: number,
  environment: PickleEnvironment,
): Unpickled {
  const machine = new Machine(origin, new PickleCursor(origin, bytes, start), environment);
  return machine.run();
}

/** The kind of a value, for messages, since a value itself may be cyclic or of any size. */
export function kindOf(value: unknown): string {
  if (value === null) return 'None';
  if (value instanceof Map) return 'a dict';
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Callable) return value.name;
  if (typeof value === 'string') return quote(value);
  return typeof value === 'object' ? 'an object' : String(value);
}

const MARK = Symbol('mark');

/** The instructions that push a value. */
const PLAIN: Readonly<Record<string, ((cursor: PickleCursor) => unknown) | undefined>> = {
  N: () => null,
  '\x88': () => true,
  '\x89': () => false,
  K: (cursor) => cursor.uint8(),
  M: (cursor) => cursor.uint16(),
  J: (cursor) => cursor.int32(),
  G: (cursor) => cursor.float64(),
  '\x8a': (cursor) => cursor.integer(cursor.uint8()), // LONG1
  '\x8b': (cursor) => cursor.integer(cursor.uint32()), // LONG4
  X: (cursor) => cursor.text(cursor.uint32()),
  '\x8c': (cursor) => cursor.text(cursor.uint8()), // SHORT_BINUNICODE
  '\x8d': (cursor) => cursor.text(cursor.uint64()), // BINUNICODE8
  // Texts of Python 2.
  T: (cursor) => cursor.text(cursor.uint32()),
  U: (cursor) => cursor.text(cursor.uint8()),
  B: (cursor) => cursor.bytes(cursor.uint32()),
  C: (cursor) => cursor.bytes(cursor.uint8()),
  '\x8e': (cursor) => cursor.bytes(cursor.uint64()), // BINBYTES8
  '}': () => new Map(),
  ']': () => [],
  ')': () => [],
};

class Machine {
  readonly #origin: string;
  readonly #cursor: PickleCursor;
  readonly #environment: PickleEnvironment;
  readonly #stack: unknown[] = [];
  /** The positions of marks on the stack. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, unknown>();

  constructor(origin: string, cursor: PickleCursor, environment: PickleEnvironment) {
    this.#origin = origin;
    this.#cursor = cursor;
    this.#environment = environment;
  }

  run(): Unpickled {
    for (;;) {
      const code = this.#cursor.uint8();
      if (code === STOP) return { value: this.#pop(), end: this.#cursor.position };
      this.#step(code);
    }
  }

  #step(code: number): void {
    const letter = String.fromCharCode(code);
    const plain = PLAIN[letter];
    if (plain === undefined) this.#act(letter);
    else this.#push(plain(this.#cursor));
  }

  #act(letter: string): void {
    const cursor = this.#cursor;
    switch (letter) {
      case '\x80': // PROTO
        cursor.uint8();
        break;
      case '\x95': // FRAME
        cursor.uint64();
        break;
      case '(':
        this.#marks.push(this.#stack.length);
        this.#push(MARK);
        break;
      case '0': // POP
        if (this.#stack.at(-1) === MARK) this.#sinceMark();
        else this.#pop();
        break;
      case '1': // POP_MARK
        this.#sinceMark();
        break;
      case '2': // DUP
        this.#push(this.#top());
        break;
      case 'd':
        this.#push(this.#filled(new Map(), this.#sinceMark()));
        break;
      case 'l':
      case 't':
        this.#push(this.#sinceMark());
        break;
      case '\x85':
        this.#push(this.#popMany(1));
        break;
      case '\x86':
        this.#push(this.#popMany(2));
        break;
      case '\x87':
        this.#push(this.#popMany(3));
        break;
      case 'a':
        this.#append(this.#popMany(1));
        break;
      case 'e':
        this.#append(this.#sinceMark());
        break;
      case 's':
        this.#setItems(this.#popMany(2));
        break;
      case 'u':
        this.#setItems(this.#sinceMark());
        break;
      case 'q':
        this.#remember(cursor.uint8());
        break;
      case 'r':
        this.#remember(cursor.uint32());
        break;
      case '\x94': // MEMOIZE
        this.#remember(this.#memo.size);
        break;
      case 'h':
        this.#recall(cursor.uint8());
        break;
      case 'j':
        this.#recall(cursor.uint32());
        break;
      case 'c':
        this.#push(this.#environment.global(cursor.line(), cursor.line()));
        break;
      case '\x93': // STACK_GLOBAL
        this.#stackGlobal();
        break;
      case 'Q':
        this.#push(this.#environment.persistent(this.#pop()));
        break;
      case 'R':
      case '\x81': // NEWOBJ
        this.#call();
        break;
      case 'b':
        this.#build();
        break;
      default:
        throw this.#wrong(
          `the instruction 0x${letter.charCodeAt(0).toString(16)}`,
          'those that make tensors in containers',
        );
    }
  }

  #push(value: unknown): void {
    this.#stack.push(value);
  }

  #top(): unknown {
    const value = this.#stack.at(-1);
    if (this.#stack.length === 0 || value === MARK) throw this.#wrong('nothing on the stack', 'a value');
    return value;
  }

  #pop(): unknown {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  #popMany(count: number): unknown[] {
    const values: unknown[] = [];
    for (let index = 0; index < count; index++) values.unshift(this.#pop());
    return values;
  }

  #sinceMark(): unknown[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw this.#wrong('no mark on the stack', 'one');
    const values = this.#stack.splice(mark);
    values.shift();
    return values;
  }

  #append(values: readonly unknown[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) throw this.#wrong(`values for ${kindOf(list)}`, 'a list');
    for (const value of values) list.push(value);
  }

  #setItems(items: readonly unknown[]): void {
    const map = this.#top();
    if (!(map instanceof Map)) throw this.#wrong(`items for ${kindOf(map)}`, 'a dict');
    this.#filled(map, items);
  }

  #filled(map: Map<unknown, unknown>, items: readonly unknown[]): Map<unknown, unknown> {
    if (items.length % 2 !== 0) throw this.#wrong('a key without a value', 'both');
    for (let index = 0; index < items.length; index += 2) map.set(items[index], items[index + 1]);
    return map;
  }

  #remember(place: number): void {
    this.#memo.set(place, this.#top());
  }

  #recall(place: number): void {
    if (!this.#memo.has(place)) throw this.#wrong(`what is remembered at ${place}`, 'something that was remembered');
    this.#push(this.#memo.get(place));
  }

  #stackGlobal(): void {
    const [module, name] = this.#popMany(2);
    if (typeof module !== 'string' || typeof name !== 'string') throw this.#wrong('a global without a name', 'one');
    this.#push(this.#environment.global(module, name));
  }

  #call(): void {
    const [callable, args] = this.#popMany(2);
    if (!(callable instanceof Callable) || !Array.isArray(args))
      throw this.#wrong(`a call of ${kindOf(callable)}`, 'one of a function with its arguments');
    this.#push(callable.call(args));
  }

  /** Drops the attributes of a dict, such as the version of a state dict. */
  #build(): void {
    this.#pop();
    const target = this.#top();
    if (!(target instanceof Map)) throw this.#wrong(`a state for ${kindOf(target)}`, 'one for a dict');
  }

  #wrong(given: string, expected: string): Error {
    return damaged(`${this.#origin} at byte ${this.#cursor.position}`, given, expected);
  }
}

const STOP = 0x2e;
