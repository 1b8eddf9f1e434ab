import { MambaError } from '../contract/errors.ts';
import type { DType, IntegerRange, Shape, Tensor, TensorSpec } from '../contract/tensor.ts';
import { describe } from '../operations/check.ts';

/** The only implementation of `Tensor`. Its storage is read by the backend that made it, and by nobody else. */
export class TensorHandle<S> implements Tensor {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly range: IntegerRange | undefined;
  readonly #owner: TensorOwner<S>;
  /** Shared with borrowed handles. Empty once disposed, so that a handle that is kept holds no memory. */
  readonly #cell: { storage: { readonly value: S } | undefined };
  readonly #borrowed: boolean;

  constructor(owner: TensorOwner<S>, storage: S, spec: TensorSpec, lender?: TensorHandle<S>) {
    this.shape = Object.freeze([...spec.shape]);
    this.dtype = spec.dtype;
    this.range = spec.range;
    this.#owner = owner;
    this.#borrowed = lender !== undefined;
    this.#cell = lender === undefined ? { storage: { value: storage } } : lender.#cell;
    // A shape that could be assigned would let a read reach past the memory.
    Object.freeze(this);
  }

  get disposed(): boolean {
    return this.#cell.storage === undefined;
  }

  dispose(): void {
    const { storage } = this.#cell;
    if (storage === undefined || this.#borrowed) return;
    this.#cell.storage = undefined;
    this.#owner.release(this, storage.value);
  }

  /** A handle of the same values that ends with this one; disposing it does nothing. */
  borrow(): TensorHandle<S> {
    return new TensorHandle(this.#owner, this.storageFor(this.#owner, 'a borrowed tensor'), this, this);
  }

  /** For the owner alone. */
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

/** A handle that reads the same values; the tensor stays with whoever holds it. */
export function borrowed(tensor: Tensor): Tensor {
  if (tensor instanceof TensorHandle) return tensor.borrow();
  throw new MambaError('foreign', "only a backend's own tensors can be borrowed", { origin: 'tensor' });
}

export interface TensorOwner<S> {
  readonly name: string;
  release(tensor: TensorHandle<S>, storage: S): void;
}
