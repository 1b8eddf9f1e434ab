import { damaged } from '../errors.ts';
import type { ByteSource } from '../io/byte-source.ts';

/**
 * Reads little-endian values of a ByteSource from front to back. A window of the file is in memory. It doubles with
 * every read, so that a small header costs one small read and a large one few. No more is allocated than the file has
 * bytes.
 */
export class Cursor {
  readonly #source: ByteSource;
  readonly #limit: number;
  #window = new DataView(new ArrayBuffer(0));
  #bytes = new Uint8Array(0);
  /** The offset of the window in the file, and of the next byte in the window. */
  #start = 0;
  #next = 0;
  #step = 2 ** 16;

  /** @param limit Largest number of bytes that may be read in all. */
  constructor(source: ByteSource, limit: number) {
    this.#source = source;
    this.#limit = Math.min(limit, source.size);
  }

  /** The offset of the next byte in the file. */
  get position(): number {
    return this.#start + this.#next;
  }

  get remaining(): number {
    return this.#limit - this.position;
  }

  /** Whether `length` bytes are in the window. Otherwise, await `fill` first. */
  has(length: number): boolean {
    return length <= this.#bytes.length - this.#next;
  }

  /**
   * Reads until `length` bytes are in the window.
   * @param origin The name of the value that is read, for messages.
   * @throws MambaError `invalid-file` where the file, or the limit of a header, ends before.
   */
  async fill(length: number, origin: string): Promise<void> {
    if (length > this.remaining) {
      throw damaged(
        origin,
        `${length} bytes at ${this.position}`,
        `at most ${this.remaining}, which is what is left`,
        'The file is cut off, or not GGUF.',
      );
    }
    const { position } = this;
    const size = Math.min(Math.max(length, this.#step), this.remaining);
    this.#step = Math.min(this.#step * 2, 2 ** 22);
    this.#bytes = new Uint8Array(await this.#source.read(position, size));
    this.#window = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length);
    this.#start = position;
    this.#next = 0;
  }

  /** A view of the next bytes, which `has` or `fill` have confirmed. */
  bytes(length: number): Uint8Array {
    this.#next += length;
    return this.#bytes.subarray(this.#next - length, this.#next);
  }

  uint32(): number {
    this.#next += 4;
    return this.#window.getUint32(this.#next - 4, true);
  }

  uint64(): bigint {
    this.#next += 8;
    return this.#window.getBigUint64(this.#next - 8, true);
  }
}
