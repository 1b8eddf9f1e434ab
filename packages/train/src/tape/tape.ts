import { type Backend, invalid, type Tensor } from '@mamba/core';
import { filled } from './filled.ts';
import { Owners, Sum } from './gradients.ts';
import {
  callOperation,
  innerTensor,
  isTensor,
  type OperationResult,
  type Run,
  recordingBackend,
  tensorsOf,
} from './recorder.ts';
import { type Backward, type Gradient, type Keeps, type Named, ruleOf } from './rules.ts';
import { RecordedTensor, Value } from './value.ts';

/** A computation that is run again for its gradients: tensors → tensors, by the operations of the given backend. */
export type Recomputed = (backend: Backend, inputs: readonly Tensor[]) => readonly Tensor[];

/** A call that gradients flow through. */
interface Entry {
  /** The inputs that have gradients, by name. */
  readonly sources: Readonly<Record<string, Value>>;
  /** The results by name; `y` for a single one. */
  readonly results: Readonly<Record<string, Value>>;
  /** Everything that the backward pass reads, held until then. */
  readonly held: readonly Value[];
  /** What the call kept for its backward pass, which is held as well. */
  readonly kept: Tensor | undefined;
  backward(context: Backward): Readonly<Record<string, Gradient | undefined>>;
}

/**
 * Records the calls of a backend and computes gradients in reverse. Compositions of operations run on `tape.backend` as
 * on any other backend; its tensors may be disposed as always, and the tape keeps what the gradients need.
 *
 * @example
 * const tape = new Tape(backend, [weight]);
 * const y = tape.backend.linear(x, weight);
 * const gradients = tape.backward([[y, dy]]); // a map: weight → its gradient
 */
export class Tape {
  /** The backend whose calls are recorded. Tensors of the wrapped backend are inputs like its own. */
  readonly backend: Backend;
  readonly #inner: Backend;
  readonly #leaves: ReadonlyMap<Tensor, Value>;
  /** In the order of the calls. */
  readonly #entries: Entry[] = [];

  /**
   * @param leaves The tensors of `backend` whose gradients are wanted: parameters, or the inputs of a part of a model.
   * They belong to the caller and have to live until `backward` or `dispose`, as every tensor of `backend` has that is
   * passed to a recorded call.
   */
  constructor(backend: Backend, leaves: Iterable<Tensor>) {
    this.#inner = backend;
    this.#leaves = new Map([...leaves].map((tensor) => [tensor, new Value(tensor, true, false)]));
    this.backend = recordingBackend(backend, (...call) => this.#record(...call));
  }

  /**
   * Runs a part of the computation without keeping anything but its inputs, and runs it again for its gradients (arXiv
   * 1604.06174): the memory of one part at a time is enough.
   */
  checkpoint(inputs: readonly Tensor[], run: Recomputed): readonly Tensor[] {
    const inner = inputs.map(innerTensor);
    const tracked = inputs.flatMap((tensor, index) => (this.#valueOf(tensor)?.tracked ? [inner[index]!] : []));
    const names = new Map(
      [...new Set([...tracked, ...this.#leaves.keys()])].map((tensor, index) => [tensor, `${index}`]),
    );
    const outputs = run(this.#inner, inner).map((tensor) => new RecordedTensor(new Value(tensor, true, true)));
    const values = new Map([
      ...this.#leaves,
      ...inputs.map((tensor, i) => [inner[i]!, this.#valueOf(tensor)] as const),
    ]);
    this.#entries.push({
      sources: Object.fromEntries([...names].map(([tensor, name]) => [name, values.get(tensor)!])),
      results: Object.fromEntries(outputs.map(({ value }, index) => [String(index), value])),
      held: holdAll(inputs),
      kept: undefined,
      backward: ({ cotangents }) => {
        const again = new Tape(this.#inner, names.keys());
        try {
          const results = run(again.backend, inner);
          const pairs = results.flatMap((result, index): [Tensor, Tensor][] => {
            const cotangent = cotangents[String(index)];
            return cotangent === undefined ? [] : [[result, cotangent]];
          });
          const gradients = again.backward(pairs);
          for (const result of results) result.dispose();
          return Object.fromEntries([...gradients].map(([tensor, gradient]) => [names.get(tensor)!, gradient]));
        } finally {
          again.dispose();
        }
      },
    });
    return outputs;
  }

  /**
   * The gradients of the leaves, which belong to the caller, given results of this tape with their cotangents, which
   * stay the caller's. A leaf that no result depends on is absent. The tape is empty afterwards.
   * @throws MambaError `invalid-argument` where a result was not computed on this tape, and any error of the backend.
   */
  backward(results: readonly (readonly [result: Tensor, cotangent: Tensor])[]): Map<Tensor, Tensor> {
    const owners = new Owners();
    const sums = new Sums(this.#inner, owners);
    try {
      for (const [result, cotangent] of results) {
        const value = this.#valueOf(result);
        if (value === undefined) throw invalid('tape.backward', 'a tensor of another backend', 'a result of this tape');
        owners.borrow(cotangent);
        if (value.tracked) sums.add(value, cotangent);
      }
      for (let entry = this.#entries.pop(); entry !== undefined; entry = this.#entries.pop()) {
        try {
          replay(this.#inner, entry, sums, owners);
        } finally {
          for (const value of entry.held) value.release();
        }
      }
      const gradients = new Map<Tensor, Tensor>();
      for (const [tensor, value] of this.#leaves) {
        const total = sums.total(value);
        if (total !== undefined) gradients.set(tensor, owners.take(this.#inner, total));
      }
      return gradients;
    } finally {
      owners.dispose();
      this.dispose();
    }
  }

  /** Frees everything that the tape holds. Leaves and the handles of its backend stay with their owners. */
  dispose(): void {
    for (const { held } of this.#entries.splice(0)) for (const value of held) value.release();
  }

  /**
   * Takes a tensor out of its handle, which is disposed: a tensor of the wrapped backend, for the caller. Call it after
   * `backward`, when no recorded call reads the tensor any more.
   */
  take(tensor: Tensor): Tensor {
    return tensor instanceof RecordedTensor ? tensor.take() : tensor;
  }

  #record(...[operation, args, inner]: Parameters<Run>): OperationResult | undefined {
    const rule = ruleOf(operation);
    // Arguments are not checked yet, so the rule cannot be asked for its inputs.
    const keeps = this.#tracks(args) ? rule?.keeps : undefined;
    const result = callOperation(this.#inner, operation, keeps === undefined ? inner : keeping(keeps, inner));
    if (result === undefined) return undefined;
    const sources = rule === undefined ? {} : this.#sources(rule.inputs(...args));
    const tracked = Object.keys(sources).length > 0;
    const wrapped = mapResult(result, (tensor) => new RecordedTensor(new Value(tensor, tracked, true)));
    const named: Record<string, Tensor> = isTensor(wrapped) ? { y: wrapped } : { ...wrapped };
    const kept = keeps && (named[keeps.result] as RecordedTensor | undefined);
    if (keeps !== undefined) delete named[keeps.result];
    if (tracked)
      this.#entries.push({
        sources,
        results: mapValues(named, (tensor) => (tensor as RecordedTensor).value),
        held: holdAll([...rule!.reads(...args), kept, ...(rule!.keepsResults ? Object.values(named) : [])]),
        kept: kept?.value.tensor,
        backward: (context) => rule!.backward(context, ...inner),
      });
    if (kept === undefined || asks(keeps!, inner)) return wrapped;
    // The caller did not ask for it.
    kept.dispose();
    return named;
  }

  /** Whether gradients flow to a tensor among these arguments. */
  #tracks(args: readonly unknown[]): boolean {
    return tensorsOf(args).some((tensor) => this.#valueOf(tensor)?.tracked === true);
  }

  /** The values of those inputs that gradients flow to. */
  #sources(inputs: Named): Record<string, Value> {
    const values = Object.entries(inputs).flatMap(([name, tensor]): [string, Value][] => {
      const value = tensor && this.#valueOf(tensor);
      return value?.tracked ? [[name, value]] : [];
    });
    return Object.fromEntries(values);
  }

  #valueOf(tensor: Tensor): Value | undefined {
    return tensor instanceof RecordedTensor ? tensor.value : this.#leaves.get(tensor);
  }
}

/** The gradients of all values so far. */
class Sums {
  readonly #backend: Backend;
  readonly #owners: Owners;
  readonly #sums = new Map<Value, Sum>();

  constructor(backend: Backend, owners: Owners) {
    this.#backend = backend;
    this.#owners = owners;
  }

  add(value: Value, gradient: Gradient): void {
    let sum = this.#sums.get(value);
    if (sum === undefined) {
      sum = new Sum(this.#backend, this.#owners);
      this.#sums.set(value, sum);
    }
    sum.add(gradient);
  }

  total(value: Value): Tensor | undefined {
    return this.#sums.get(value)?.total(value.tensor);
  }

  drop(value: Value): void {
    this.#sums.get(value)?.drop();
    this.#sums.delete(value);
  }
}

/** Replays one call in reverse: from the cotangents of its results to the gradients of its inputs. */
function replay(backend: Backend, { sources, results, kept, backward }: Entry, sums: Sums, owners: Owners): void {
  const totals = Object.entries(results).map(([name, value]) => [name, sums.total(value)] as const);
  if (totals.every(([, cotangent]) => cotangent === undefined)) return;
  const gradients = backward({
    backend,
    cotangents: Object.fromEntries(totals),
    results: Object.fromEntries(Object.entries(results).map(([name, value]) => [name, value.tensor])),
    wants: (input) => sources[input] !== undefined,
    zeros: ({ shape }) => filled(backend, shape, 0),
    kept,
  });
  for (const [name, gradient] of Object.entries(gradients)) {
    if (gradient === undefined) continue;
    const source = sources[name];
    if (source !== undefined) sums.add(source, gradient);
    else if (isTensor(gradient) && !owners.has(gradient)) gradient.dispose();
  }
  for (const value of Object.values(results)) sums.drop(value);
}

/** Holds the values of those tensors that a recording backend made. */
function holdAll(tensors: readonly (Tensor | undefined)[]): readonly Value[] {
  return tensors.flatMap((tensor) => (tensor instanceof RecordedTensor ? [tensor.value.hold()] : []));
}

/** The arguments with the option that lets the call keep something. Wrong options stay wrong. */
function keeping({ option, argument }: Keeps, args: readonly unknown[]): readonly unknown[] {
  const { [argument]: options = {} } = args;
  if (typeof options !== 'object' || options === null || Array.isArray(options)) return args;
  const { [option]: given = false } = options as Readonly<Record<string, unknown>>;
  return given === false ? args.toSpliced(argument, 1, { ...options, [option]: true }) : args;
}

function asks({ option, argument }: Keeps, args: readonly unknown[]): boolean {
  const options = args[argument] as Readonly<Record<string, unknown>> | undefined;
  return options?.[option] === true;
}

function mapResult(result: OperationResult, map: (tensor: Tensor) => Tensor): OperationResult {
  return isTensor(result) ? map(result) : mapValues(result, map);
}

function mapValues<A, B>(values: Readonly<Record<string, A>>, map: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value)]));
}
