import { bytesSource, type CheckpointStore } from '@mamba/checkpoint';

/** The files of a checkpoint, each of which is read once and kept in memory. */
export class FileCache implements CheckpointStore {
  readonly name: string;
  readonly #store: CheckpointStore;
  readonly #files = new Map<string, Uint8Array | undefined>();

  constructor(store: CheckpointStore) {
    this.name = store.name;
    this.#store = store;
  }

  async open(file: string) {
    if (!this.#files.has(file)) this.#files.set(file, await this.#read(file));
    const bytes = this.#files.get(file);
    return bytes && bytesSource(bytes, file);
  }

  /** Puts a file in the place of the one that was there. */
  replace(file: string, bytes: Uint8Array): void {
    this.#files.set(file, bytes);
  }

  async #read(file: string): Promise<Uint8Array | undefined> {
    const source = await this.#store.open(file);
    try {
      return await source?.read(0, source.size);
    } finally {
      await source?.close();
    }
  }
}
