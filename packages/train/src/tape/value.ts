import { type DType, type IntegerRange, MambaError, type Shape, type Tensor } from '@mamba/core';

/**
 * A tensor of the wrapped backend that the tape owns. It lives while its handle is not disposed or a recorded call
 * still reads it.
 */
export class Value {
  readonly tensor: Tensor;
  /** Whether a gradient flows to it. */
  readonly tracked: boolean;
  #holds = 0;
  #owned: boolean;

  /** @param owned Whether the tensor is disposed when the last hold ends. Leaves belong to the caller. */
  constructor(tensor: Tensor, tracked: boolean, owned: boolean) {
    this.tensor = tensor;
    this.tracked = tracked;
    this.#owned = owned;
  }

  hold(): this {
    this.#holds++;
    return this;
  }

  /** Gives the tensor to the caller of the last hold. */
  giveUp(): Tensor {
    if (this.#holds !== 1) throw new Error('a tensor that a recorded call reads cannot be taken');
    this.#owned = false;
    return this.tensor;
  }

  release(): void {
    if (--this.#holds === 0 && this.#owned) this.tensor.dispose();
  }
}

/** The handle that users of a recording backend get. */
export class RecordedTensor implements Tensor {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly range: IntegerRange | undefined;
  readonly value: Value;
  #disposed = false;

  constructor(value: Value) {
    const { shape, dtype, range } = value.tensor;
    this.shape = shape;
    this.dtype = dtype;
    this.range = range;
    this.value = value.hold();
  }

  get disposed(): boolean {
    return this.#disposed || this.value.tensor.disposed;
  }

  /** The tensor of the wrapped backend. @throws MambaError `disposed` */
  get inner(): Tensor {
    if (!this.#disposed) return this.value.tensor;
    throw new MambaError('disposed', 'a recorded tensor was disposed', {
      origin: 'tape',
      given: `${this.dtype} [${this.shape.join(', ')}] after dispose()`,
      expected: 'a live tensor',
    });
  }

  take(): Tensor {
    const tensor = this.value.giveUp();
    this.dispose();
    return tensor;
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.value.release();
  }
}
