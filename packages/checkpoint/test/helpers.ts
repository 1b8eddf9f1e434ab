import { fileURLToPath } from 'node:url';
import { isMambaError } from '@mamba/core';
import { expect } from 'vitest';
import { bytesSource, type CheckpointStore } from '../src/index.ts';

export const FIXTURES = fileURLToPath(new URL('../../conformance/fixtures', import.meta.url));

/** A store of files in memory, which counts the open files. */
export function memoryStore(
  files: Readonly<Record<string, Uint8Array | string>>,
): CheckpointStore & { opened: number } {
  const store = {
    name: 'memory',
    opened: 0,
    async open(file: string) {
      const content = Object.hasOwn(files, file) ? files[file]! : undefined;
      if (content === undefined) return undefined;
      const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
      store.opened++;
      let closed = false;
      return {
        ...bytesSource(bytes, file),
        async close() {
          if (!closed) store.opened--;
          closed = true;
        },
      };
    },
  };
  return store;
}

/** A safetensors file with any header. */
export function rawFile(header: string, data: number | Uint8Array = 0, length?: bigint): Uint8Array {
  const json = new TextEncoder().encode(header);
  const body = typeof data === 'number' ? new Uint8Array(data) : data;
  const file = new Uint8Array(8 + json.length + body.length);
  new DataView(file.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  file.set(json, 8);
  file.set(body, 8 + json.length);
  return file;
}

/** Expects that the promise rejects with this code and a message that contains each of `words`. */
export async function expectError(promise: Promise<unknown>, code: string, ...words: string[]): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error, 'nothing was thrown').toBeDefined();
  if (!isMambaError(error)) throw error;
  expect(error.code).toBe(code);
  for (const word of words) expect(error.message).toContain(word);
}

/** Seeded random integers below a limit. */
export function random(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}
