import { damaged } from '../errors.ts';

/** The bytes end before the pickle does: where there are more of them, it may be read again. */
export class OutOfBytes extends Error {}

/** Takes what follows, little-endian but where the format is not. */
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

  /** Big-endian, as Python has it. */
  float64(): number {
    return this.#view.getFloat64(this.#take(8), false);
  }

  /** Of any width, in two's complement; a bigint where a number does not hold it. */
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

  /** Up to a line's end, which is taken too. */
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

/** The largest that PyTorch writes is a number that marks its files, of ten. */
const MAX_INTEGER = 32;
