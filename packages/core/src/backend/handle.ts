import { MambaError } from '../contract/errors.ts';
import type { DType, IntegerRange, Shape, Tensor, TensorSpec } from '../contract/tensor.ts';
import { describe } from '../operations/check.ts';

/** The only implementation of `Tensor`. Only the backend that made it can read its storage. */
export class TensorHandle<S> implements Tensor {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly range: IntegerRange | undefined;
  readonly #owner: TensorOwner<S>;
  /**
   * A cell shared with borrowed handles. It is emptied on disposal, so that a handle kept afterwards holds no memory.
   */
  readonly #cell: Cell<S>;
  readonly #borrowed: boolean;

  constructor(owner: TensorOwner<S>, memory: Memory<S>, spec: TensorSpec, lender?: TensorHandle<S>) {
    this.shape = Object.freeze([...spec.shape]);
    this.dtype = spec.dtype;
    this.range = spec.range;
    this.#owner = owner;
    this.#borrowed = lender !== undefined;
    this.#cell = lender === undefined ? { memory, kept: false } : lender.#cell;
    if (lender === undefined) memory.handles++;
    // If the shape could be changed, a read could reach past the end of the memory.
    Object.freeze(this);
  }

  get disposed(): boolean {
    return this.#cell.memory === undefined;
  }

  dispose(): void {
    const { memory, kept } = this.#cell;
    if (memory === undefined || kept || this.#borrowed) return;
    this.#cell.memory = undefined;
    memory.handles--;
    this.#owner.release(this, memory);
  }

  /** Makes `dispose` do nothing until `letGo`: the tensor belongs to a capture. */
  keep(): void {
    this.#cell.kept = true;
  }

  /** Disposes a tensor that was kept. */
  letGo(): void {
    this.#cell.kept = false;
    this.dispose();
  }

  /** A second handle of the same values, disposed together with this one. Disposing the second one does nothing. */
  borrow(): TensorHandle<S> {
    return new TensorHandle(this.#owner, this.memory('a borrowed tensor'), this, this);
  }

  /** A second handle of the same memory, which is freed with the last of its handles. Each is disposed by itself. */
  share(): TensorHandle<S> {
    return this.#owner.share(this, this.memory('a shared tensor'));
  }

  /** What the handles of the same memory have in common. Throws `disposed`. */
  memory(origin: string): Memory<S> {
    this.storageFor(this.#owner, origin);
    return this.#cell.memory!;
  }

  /** The storage, for its owner alone. Throws `foreign` for another owner, and `disposed`. */
  storageFor(owner: TensorOwner<S>, origin: string): S {
    if (this.#owner !== owner) {
      throw new MambaError('foreign', `${origin} belongs to another backend`, {
        origin,
        given: `${describe(this)} of ${this.#owner.name}`,
        expected: `a tensor of ${owner.name}`,
        remedy: 'Read it there and upload it here.',
      });
    }
    const { memory } = this.#cell;
    if (memory === undefined) {
      throw new MambaError('disposed', `${origin} was disposed`, {
        origin,
        given: `${describe(this)} after dispose()`,
        expected: 'a live tensor',
      });
    }
    return memory.storage;
  }
}

/** The memory of a tensor, and how many handles own it. */
export interface Memory<S> {
  readonly storage: S;
  handles: number;
}

interface Cell<S> {
  memory: Memory<S> | undefined;
  /** Whether the tensor belongs to a capture. */
  kept: boolean;
}

/** A handle that reads the same values but does not own them. Throws `foreign` for a tensor not made by a backend. */
export function borrowed(tensor: Tensor): Tensor {
  if (tensor instanceof TensorHandle) return tensor.borrow();
  throw new MambaError('foreign', "only a backend's own tensors can be borrowed", { origin: 'tensor' });
}

/**
 * A second handle of the same memory, which the caller disposes; undefined for a tensor that is not a backend's own, as
 * those that a tape records.
 */
export function sharedHandle(tensor: Tensor): Tensor | undefined {
  return tensor instanceof TensorHandle ? tensor.share() : undefined;
}

/** As `sharedHandle`, where no other handle of the memory is alive, so that nobody sees what is written to it. */
export function soleHandle(tensor: Tensor): Tensor | undefined {
  return tensor instanceof TensorHandle && tensor.memory('tensor').handles === 1 ? tensor.share() : undefined;
}

/** An object that stands for a live tensor's memory; undefined for a tensor that is not a backend's own. */
export function memoryOf(tensor: Tensor): object | undefined {
  return tensor instanceof TensorHandle ? tensor.memory('tensor') : undefined;
}

export interface TensorOwner<S> {
  readonly name: string;
  /** Called when a handle was disposed. The memory is to be freed where no handle is left. */
  release(tensor: TensorHandle<S>, memory: Memory<S>): void;
  share(tensor: TensorHandle<S>, memory: Memory<S>): TensorHandle<S>;
}
