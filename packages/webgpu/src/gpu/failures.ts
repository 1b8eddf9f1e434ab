import { isMambaError, MambaError } from '@mamba/core';

/**
 * Errors that the device reports late. Every creation and every submit runs inside error scopes. The first error that
 * they catch is kept here and thrown by the next read or synchronize; those after it are mostly its consequences.
 */
export class Failures {
  readonly #device: GPUDevice;
  readonly #waiting = new Set<Promise<void>>();
  #caught: MambaError[] = [];
  #lost: MambaError | undefined;
  #closed = false;

  constructor(device: GPUDevice) {
    this.#device = device;
    device.addEventListener('uncapturederror', this.#uncaptured);
    void device.lost.then(({ reason, message }) => {
      if (this.#closed) return;
      const why = `${reason || 'unknown'}): ${said(message)}`.replace(/[:\s]+$/, '');
      this.#lost = new MambaError('device-lost', `the GPU device was lost (${why}`, {
        origin: 'webgpu',
        remedy: 'Create a new backend, load the weights again and import the states that were exported.',
      });
    });
  }

  get lost(): boolean {
    return this.#lost !== undefined;
  }

  /**
   * Runs `make` inside scopes for out-of-memory and validation errors. `what` names the object in messages; `failed` is
   * called where memory ran out.
   */
  watch<R>(what: string, make: () => R, failed?: () => void): R {
    this.#device.pushErrorScope('validation');
    this.#device.pushErrorScope('out-of-memory');
    try {
      return make();
    } finally {
      this.#settle(what, 'out-of-memory', failed);
      this.#settle(what, 'device-error');
    }
  }

  /** Throws at once where the device is known to be gone. */
  checkAlive(): void {
    if (this.#lost !== undefined) throw this.#lost;
  }

  /**
   * Waits for all reports so far and throws the first failure; an out-of-memory error comes before its consequences.
   */
  async deliver(): Promise<void> {
    while (this.#waiting.size > 0) await Promise.all(this.#waiting);
    // A lost device resolves its scopes to null before `lost` resolves.
    await Promise.resolve();
    this.checkAlive();
    const caught = this.#caught;
    if (caught.length === 0) return;
    this.#caught = [];
    throw caught.find((error) => isMambaError(error, 'out-of-memory')) ?? caught[0];
  }

  /** Turns a rejection of the API into a MambaError. */
  async rejected(what: string, cause: unknown): Promise<MambaError> {
    await Promise.resolve();
    // The reason for an aborted mapping arrives some turns after the rejection.
    for (let turn = 0; turn < 10 && this.#lost === undefined; turn++) await new Promise((done) => setTimeout(done, 1));
    if (this.#lost !== undefined) return this.#lost;
    return new MambaError('device-error', `${what} failed: ${said(String(cause))}`, { origin: what, cause });
  }

  close(): void {
    this.#closed = true;
    this.#device.removeEventListener('uncapturederror', this.#uncaptured);
  }

  #settle(what: string, code: 'out-of-memory' | 'device-error', failed?: () => void): void {
    const report = this.#device.popErrorScope().then(
      (error) => {
        if (error === null) return;
        this.#caught.push(failure(code, what, error));
        failed?.();
      },
      // Only a lost device refuses to pop a scope, and `lost` reports that.
      () => {},
    );
    this.#waiting.add(report);
    void report.then(() => this.#waiting.delete(report));
  }

  readonly #uncaptured = (event: Event): void => {
    const { error } = event as GPUUncapturedErrorEvent;
    event.preventDefault();
    this.#caught.push(failure('device-error', 'webgpu', error));
  };
}

/**
 * What a message of the device says. Dawn adds the calls that it was in and lines of its C++ sources with the paths of
 * the machine that built it; those stay in the error's cause.
 */
export function said(message: string): string {
  const [first = ''] = message.split(/^\s*(?:- While |at .+:\d+\)$|Debug group stack:|Backend messages:)/m, 1);
  return first.trim().replace(/\.$/, '');
}

function failure(code: 'out-of-memory' | 'device-error', what: string, error: GPUError): MambaError {
  if (code === 'out-of-memory') {
    return new MambaError(code, `the GPU has no memory left for ${what}: ${said(error.message)}`, {
      origin: what,
      cause: error,
      remedy: 'Dispose of tensors, take a smaller chunk or batch, or store weights as float16 or q8.',
    });
  }
  return new MambaError(code, `the GPU refused ${what}: ${said(error.message)}`, {
    origin: what,
    cause: error,
    remedy: 'This is a bug of @mamba/webgpu: please report it with this message and its cause.',
  });
}
