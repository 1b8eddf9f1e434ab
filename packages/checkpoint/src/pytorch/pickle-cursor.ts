import { damaged } from '../errors.ts';

/** Thrown where the bytes end before the pickle does. With more bytes, it can be read again. */
export class OutOfBytes extends Error {}

/** Reads the values of a pickle, little-endian except where the format is not. */
export class PickleCursor {
  readonly #origin: string;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #position: number;

  constructor(origin: string, bytes: Uint8Array, position: number) {
    this.#origin = origin;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#position = position;
  }

  get position(): number {
    return this.#position;
  }

  uint8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  uint64(): number {
    return Number(this.#view.getBigUint64(this.#take(8), true));
  }

  /** A float64, which pickles hold big-endian. */
  float64(): number {
    return this.#view.getFloat64(this.#take(8), false);
  }

  /** An integer of any width in two's complement; a bigint where a number cannot hold it exactly. */
  integer(width: number): number | bigint {
    if (width === 0) return 0;
    if (width > MAX_INTEGER)
      throw damaged(
        `${this.#origin} at byte ${this.#position}`,
        `an integer of ${width} bytes`,
        `at most ${MAX_INTEGER}`,
      );
    const bytes = this.bytes(width);
    let value = 0n;
    for (const [index, byte] of bytes.entries()) value |= BigInt(byte) << BigInt(8 * index);
    if (bytes[width - 1]! >= 0x80) value -= 1n << BigInt(8 * width);
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  text(length: number): string {
    return this.#decode(this.bytes(length));
  }

  /** A text up to the end of its line, which is skipped. */
  line(): string {
    const start = this.#position;
    while (this.uint8() !== 0x0a);
    return this.#decode(this.#bytes.subarray(start, this.#position - 1));
  }

  #decode(bytes: Uint8Array): string {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch (cause) {
      throw damaged(`${this.#origin} at byte ${this.#position}`, 'a text that is not UTF-8', 'UTF-8', undefined, cause);
    }
  }

  #take(length: number): number {
    const start = this.#position;
    if (!(start + length <= this.#bytes.length)) throw new OutOfBytes();
    this.#position += length;
    return start;
  }
}

/** Largest width of an integer in bytes. The largest that PyTorch writes is its magic number, of ten bytes. */
const MAX_INTEGER = 32;
