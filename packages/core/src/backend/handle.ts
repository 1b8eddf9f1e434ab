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

  constructor(owner: TensorOwner<S>, storage: S, spec: TensorSpec, lender?: TensorHandle<S>) {
    this.shape = Object.freeze([...spec.shape]);
    this.dtype = spec.dtype;
    this.range = spec.range;
    this.#owner = owner;
    this.#borrowed = lender !== undefined;
    this.#cell = lender === undefined ? { storage: { value: storage }, kept: false } : lender.#cell;
    // If the shape could be changed, a read could reach past the end of the memory.
    Object.freeze(this);
  }

  get disposed(): boolean {
    return this.#cell.storage === undefined;
  }

  dispose(): void {
    const { storage, kept } = this.#cell;
    if (storage === undefined || kept || this.#borrowed) return;
    this.#cell.storage = undefined;
    this.#owner.release(this, storage.value);
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
    return new TensorHandle(this.#owner, this.storageFor(this.#owner, 'a borrowed tensor'), this, this);
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
    const { storage } = this.#cell;
    if (storage === undefined) {
      throw new MambaError('disposed', `${origin} was disposed`, {
        origin,
        given: `${describe(this)} after dispose()`,
        expected: 'a live tensor',
      });
    }
    return storage.value;
  }
}

interface Cell<S> {
  storage: { readonly value: S } | undefined;
  /** Whether the tensor belongs to a capture. */
  kept: boolean;
}

/** A handle that reads the same values but does not own them. Throws `foreign` for a tensor not made by a backend. */
export function borrowed(tensor: Tensor): Tensor {
  if (tensor instanceof TensorHandle) return tensor.borrow();
  throw new MambaError('foreign', "only a backend's own tensors can be borrowed", { origin: 'tensor' });
}

export interface TensorOwner<S> {
  readonly name: string;
  release(tensor: TensorHandle<S>, storage: S): void;
}
