/**
 * Tells how much memory a computation would take, without computing it: a backend whose tensors have shapes and no
 * values. It knows every operation, since core derives the shapes of results from those of arguments.
 */
import { type Backend, createBlock, type Shape, sizeOf, type Tensor } from '@mamba/core';
import { createBackend, type Driver, type FusionContext, type Kernels, OPERATIONS } from '@mamba/core/driver';

export interface Planner {
  readonly backend: Backend;
  /** A float32 tensor of this shape. */
  tensor(shape: Shape): Tensor;
  /**
   * The most bytes of live tensors while `body` runs on the backend; undefined where it takes more operations than a
   * plan is worth, or more values than an array can have.
   */
  peak(body: () => void): number | undefined;
}

/** Operations of a plan at most: a recurrence of a hundred thousand steps would take seconds. */
const MOST_OPERATIONS = 20_000;
const BYTES_PER_VALUE = 4;

/** Memory that is only counted. Its bytes are known once the operation that made it has returned. */
interface Counted {
  bytes: number;
}

class TooLong extends Error {}

export function createPlanner(): Planner {
  const driver = new CountingDriver();
  const inner = createBackend(driver);
  // A backend gives a driver the means to make handles of any shape when it asks it for a block's fused form.
  const tiny = (): Tensor => inner.upload({ dtype: 'float32', shape: [1, 1], data: new Float32Array(1) });
  createBlock(
    inner,
    { kind: 'mlp', dModel: 1, dHidden: 1, activation: 'silu' },
    { gate: tiny(), up: tiny(), down: tiny() },
  );
  const operations = new Set<string | symbol>(OPERATIONS);
  // The proxy has no target of its own, since it could not replace a method that its target has fixed.
  const backend = new Proxy({} as Backend, {
    get(_, name) {
      const value: unknown = Reflect.get(inner, name, inner);
      if (typeof value !== 'function') return value;
      if (name === 'upload')
        return (...args: Parameters<Backend['upload']>) => {
          const tensor = inner.upload(...args);
          driver.settle([tensor]);
          return tensor;
        };
      if (!operations.has(name)) return value.bind(inner);
      return (...args: readonly unknown[]): unknown => {
        driver.begin();
        const result: unknown = Reflect.apply(value, inner, args);
        driver.settle(tensorsOf(result));
        return result;
      };
    },
  });
  return {
    backend,
    tensor: (shape) =>
      driver.context!.tensor(driver.make(BYTES_PER_VALUE * sizeOf(shape)), { dtype: 'float32', shape }),
    peak(body) {
      driver.watch();
      try {
        body();
        return driver.peak;
      } catch (error) {
        // A composition that makes values on the host may ask for more than an array can have.
        if (error instanceof TooLong || error instanceof RangeError) return undefined;
        throw error;
      }
    },
  };
}

function tensorsOf(result: unknown): readonly Tensor[] {
  if (result === undefined) return [];
  return isTensor(result) ? [result] : Object.values(result as Readonly<Record<string, Tensor>>);
}

function isTensor(value: unknown): value is Tensor {
  return typeof value === 'object' && value !== null && 'shape' in value;
}

class CountingDriver implements Driver<Counted> {
  readonly name = 'plan';
  readonly description = 'computes nothing';
  readonly details = {};
  readonly precision = 'float32';
  context: FusionContext<Counted> | undefined;
  peak = 0;
  #live = 0;
  #operations = 0;
  /** What the operation or upload under way has made, in the order of its results. */
  #made: Counted[] = [];

  readonly kernels = new Proxy({} as Kernels<Counted>, {
    get: () => () =>
      // One result is memory itself, and several are properties, which core reads in their order.
      new Proxy(this.make(0), {
        get: (single, name) => (name === 'bytes' ? single.bytes : this.make(0)),
      }),
  });
  readonly blocks = new Proxy(
    {},
    {
      get: () => (context: FusionContext<Counted>) => {
        this.context = context;
        return undefined;
      },
    },
  );

  make(bytes: number): Counted {
    const memory = { bytes };
    this.#live += bytes;
    this.peak = Math.max(this.peak, this.#live);
    this.#made.push(memory);
    return memory;
  }

  begin(): void {
    if (++this.#operations > MOST_OPERATIONS) throw new TooLong();
    this.#made = [];
  }

  /** Gives the memory that was made last the sizes of its tensors. */
  settle(tensors: readonly Tensor[]): void {
    // Where there are several results, the memory made first is only the object that holds theirs: the last ones count.
    const made = this.#made.slice(-tensors.length);
    for (const [index, { shape }] of tensors.entries()) {
      const memory = made[index]!;
      memory.bytes = BYTES_PER_VALUE * sizeOf(shape);
      this.#live += memory.bytes;
    }
    this.peak = Math.max(this.peak, this.#live);
    this.#made = [];
  }

  watch(): void {
    this.#operations = 0;
    this.peak = this.#live;
  }

  upload(): Counted {
    this.#made = [];
    return this.make(0);
  }

  async read(): Promise<never> {
    throw new Error('a plan has no values');
  }

  free(memory: Counted): void {
    this.#live -= memory.bytes;
  }

  async synchronize(): Promise<void> {}

  memory() {
    return { bytes: this.#live, reserved: this.#live };
  }

  dispose(): void {}
}
