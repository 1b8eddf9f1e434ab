import { MambaError } from '../contract/errors.ts';
import type { DType, IntegerRange, Shape, Tensor, TensorSpec } from '../contract/tensor.ts';
import { describe } from '../operations/check.ts';

/** The only implementation of `Tensor`. Its storage is read by the backend that made it, and by nobody else. */
export class TensorHandle<S> implements Tensor {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly range: IntegerRange | undefined;
  readonly #owner: TensorOwner<S>;
  /** Undefined once disposed, so that a handle that is kept holds no memory. */
  #storage: { readonly value: S } | undefined;

  constructor(owner: TensorOwner<S>, storage: S, spec: TensorSpec) {
    this.shape = Object.freeze([...spec.shape]);
    this.dtype = spec.dtype;
    this.range = spec.range;
    this.#owner = owner;
    this.#storage = { value: storage };
    // A shape that could be assigned would let a read reach past the memory. Private fields stay ours to write.
    Object.freeze(this);
  }

  get disposed(): boolean {
    return this.#storage === undefined;
  }

  dispose(): void {
    if (this.#storage === undefined) return;
    const { value } = this.#storage;
    this.#storage = undefined;
    this.#owner.release(this, value);
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
    if (this.#storage === undefined) {
      throw new MambaError('disposed', `${origin} was disposed`, {
        origin,
        given: `${describe(this)} after dispose()`,
        expected: 'a live tensor',
      });
    }
    return this.#storage.value;
  }
}

export interface TensorOwner<S> {
  readonly name: string;
  release(tensor: TensorHandle<S>, storage: S): void;
}
