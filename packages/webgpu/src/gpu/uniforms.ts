import type { Failures } from './failures.ts';
import { ListMap } from './list-map.ts';
import type { BufferRange, Shader } from './shader.ts';
import { USAGE } from './usage.ts';

/** Number of blocks in one buffer. */
const BLOCKS = 64;

/**
 * Uniform blocks by contents. A block is written once and never changes, so bind groups may keep it. New blocks are
 * written together, before the submit that uses them.
 */
export class Uniforms {
  readonly #device: GPUDevice;
  readonly #failures: Failures;
  readonly #stride: number;
  /** The place of each block, by its contents. */
  readonly #blocks = new ListMap<BufferRange>();
  readonly #buffers: GPUBuffer[] = [];
  readonly #staged: Uint8Array<ArrayBuffer>;
  /** The block that is being looked up, as numbers of either type. */
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #floats: Float32Array<ArrayBuffer>;
  #used = 0;
  #written = 0;

  constructor(device: GPUDevice, failures: Failures) {
    this.#device = device;
    this.#failures = failures;
    this.#stride = Math.max(256, device.limits.minUniformBufferOffsetAlignment);
    this.#staged = new Uint8Array(BLOCKS * this.#stride);
    this.#words = new Uint32Array(this.#stride / 4);
    this.#floats = new Float32Array(this.#words.buffer);
  }

  /** Number of blocks. */
  get size(): number {
    return this.#blocks.size;
  }

  block<U extends string>(
    { size, fields }: Shader<string, U>['uniforms'],
    values: Readonly<Record<U, number>>,
  ): BufferRange {
    this.#blocks.begin();
    this.#blocks.add(size);
    for (const { name, offset, type } of fields) {
      (type === 'f32' ? this.#floats : this.#words)[offset / 4] = values[name];
      this.#blocks.add(this.#words[offset / 4]!);
    }
    const known = this.#blocks.get();
    if (known !== undefined) return known;
    if (this.#buffers.length === 0 || this.#used === BLOCKS) this.#begin();
    const offset = this.#used++ * this.#stride;
    this.#staged.set(new Uint8Array(this.#words.buffer, 0, size), offset);
    const block = { buffer: this.#buffers.at(-1)!, offset, size };
    this.#blocks.set(block);
    return block;
  }

  /** Writes the new blocks, which no submitted work uses yet. */
  write(): void {
    if (this.#used === this.#written) return;
    const begin = this.#written * this.#stride;
    const size = this.#used * this.#stride - begin;
    this.#device.queue.writeBuffer(this.#buffers.at(-1)!, begin, this.#staged, begin, size);
    this.#written = this.#used;
  }

  dispose(): void {
    for (const buffer of this.#buffers) buffer.destroy();
  }

  #begin(): void {
    this.write();
    this.#used = 0;
    this.#written = 0;
    this.#buffers.push(
      this.#failures.watch('the uniform buffer', () =>
        this.#device.createBuffer({
          label: 'uniforms',
          size: this.#staged.byteLength,
          usage: USAGE.UNIFORM | USAGE.COPY_DST,
        }),
      ),
    );
  }
}
