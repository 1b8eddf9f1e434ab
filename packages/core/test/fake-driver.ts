import { createBackend } from '../src/backend/create-backend.ts';
import type { DeviceTensor, Driver, Kernels, RowUpload } from '../src/backend/driver.ts';
import type { Backend } from '../src/contract/backend.ts';
import { MambaError } from '../src/contract/errors.ts';
import { type HostArray, type HostTensor, sizeOf } from '../src/contract/tensor.ts';

/** A piece of simulated device memory. */
export interface Block {
  readonly id: number;
  readonly host: HostTensor | undefined;
}

/**
 * A driver that computes nothing: every result reads as zeros. It records what is allocated and run, and fails on
 * demand.
 */
export class FakeDriver implements Driver<Block> {
  readonly name: string;
  readonly description = 'keeps books';
  readonly details = {};
  readonly precision = 'float32';
  readonly live = new Set<Block>();
  /** The operations in the order in which their kernels ran. */
  readonly ran: string[] = [];
  /** Number of kernels and uploads that succeed before the next one throws. */
  failAfter = Number.POSITIVE_INFINITY;
  /** Number of rows in a piece of `uploadRows`; 0 means that core calls `upload`. */
  rowsAtOnce = 0;
  #made = 0;

  constructor(name = 'fake') {
    this.name = name;
  }

  readonly kernels: Kernels<Block> = {
    selectiveScan: () => this.#both('selectiveScan'),
    causalConv1d: () => this.#both('causalConv1d'),
    linear: () => this.#one('linear'),
    rmsNorm: () => this.#one('rmsNorm'),
    layerNorm: () => this.#one('layerNorm'),
    embedding: () => this.#one('embedding'),
    add: () => this.#one('add'),
    multiply: () => this.#one('multiply'),
    slice: () => this.#one('slice'),
    concat: () => this.#one('concat'),
    argmax: () => this.#one('argmax'),
    sample: () => this.#one('sample'),
    logProb: () => this.#one('logProb'),
  };

  upload(host: HostTensor): Block {
    this.#step('upload');
    return this.#make(host);
  }

  uploadRows(): RowUpload<Block> | undefined {
    const { rowsAtOnce } = this;
    if (rowsAtOnce === 0) return undefined;
    this.#step('uploadRows');
    return { storage: this.#make(), rowsAtOnce, write: ({ shape }) => this.#step(`write ${shape[0]}`) };
  }

  async read({ storage, shape, dtype }: DeviceTensor<Block>): Promise<HostArray> {
    if (!this.live.has(storage)) throw new Error(`block ${storage.id} is read after it was freed`);
    return dtype === 'int32' ? new Int32Array(sizeOf(shape)) : new Float32Array(sizeOf(shape));
  }

  free(storage: Block): void {
    if (!this.live.delete(storage)) throw new Error(`block ${storage.id} is freed twice`);
  }

  async synchronize(): Promise<void> {}

  memory() {
    return { bytes: this.live.size, reserved: this.live.size };
  }

  dispose(): void {
    this.ran.push('dispose');
  }

  #one(operation: string): Block {
    this.#step(operation);
    return this.#make();
  }

  #both(operation: string): { y: Block; lastState: Block } {
    this.#step(operation);
    return { y: this.#make(), lastState: this.#make() };
  }

  #step(operation: string): void {
    if (this.failAfter-- <= 0) throw new MambaError('out-of-memory', 'told to fail');
    this.ran.push(operation);
  }

  #make(host?: HostTensor): Block {
    const block = { id: this.#made++, host };
    this.live.add(block);
    return block;
  }
}

export function fakeBackend(name?: string): { backend: Backend; driver: FakeDriver } {
  const driver = new FakeDriver(name);
  return { backend: createBackend(driver), driver };
}

/**
 * Matches an error by its code, and by its origin if one is given:
 *     expect(f).toThrow(failure('invalid-argument', 'linear.weight'))
 */
export function failure(code: string, origin?: string): object {
  return {
    asymmetricMatch: (error: unknown) => matches(error, code, origin),
    toString: () => `${code} ${origin ?? ''}`,
  };
}

function matches(error: unknown, code: string, origin: string | undefined): boolean {
  return error instanceof MambaError && error.code === code && (origin === undefined || error.origin === origin);
}
