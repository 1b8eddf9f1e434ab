import { damaged } from '../errors.ts';
import type { ByteSource } from '../io/byte-source.ts';

/**
 * Little-endian values out of a ByteSource, front to back. A window of the file is in memory; it doubles with every
 * reading, so that small headers cost one small reading and large ones few. Nothing is allocated that the file has no
 * bytes for.
 */
export class Cursor {
  readonly #source: ByteSource;
  readonly #limit: number;
  #window = new DataView(new ArrayBuffer(0));
  #bytes = new Uint8Array(0);
  /** Of the window in the file, and of the next byte in the window. */
  #start = 0;
  #next = 0;
  #step = 2 ** 16;

  /** @param limit Most bytes that may be read in all. */
  constructor(source: ByteSource, limit: number) {
    this.#source = source;
    this.#limit = Math.min(limit, source.size);
  }

  /** Of the next byte in the file. */
  get position(): number {
    return this.#start + this.#next;
  }

  get remaining(): number {
    return this.#limit - this.position;
  }

  /** Whether `length` bytes can be taken without waiting; otherwise await `fill` first. */
  has(length: number): boolean {
    return length <= this.#bytes.length - this.#next;
  }

  /**
   * @param origin What is read, for messages. @throws MambaError `invalid-file` where the file, or what a header may
   * take of it, ends before.
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

  /** Bytes that `has` or `fill` said are there; a view. */
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
