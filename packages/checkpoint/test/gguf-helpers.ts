import { type HostTensor, modelParameters } from '@mamba/core';
import { copyFloats } from '@mamba/core/toolkit';
import { expect } from 'vitest';
import {
  bytesSource,
  type Checkpoint,
  type GgufWritableType,
  memorySink,
  openCheckpoint,
  type WriteGgufOptions,
  writeGguf,
} from '../src/index.ts';
import { FIXTURES, memoryStore } from './helpers.ts';

/** A fixture as a GGUF file in memory. */
export async function converted(
  folder: string,
  type: GgufWritableType,
  more: Partial<WriteGgufOptions> = {},
): Promise<Uint8Array> {
  const checkpoint = await openCheckpoint(`${FIXTURES}/${folder}`);
  const { config, source, specialTokens } = checkpoint;
  const sink = memorySink();
  try {
    await writeGguf({ config, source, type, sink, specialTokens, ...more });
  } finally {
    await checkpoint.close();
  }
  return sink.bytes();
}

/** A store that holds one GGUF file. */
export function ggufStore(bytes: Uint8Array): ReturnType<typeof memoryStore> {
  return Object.assign(memoryStore({ 'model.gguf': bytes }), { list: async () => ['model.gguf'] });
}

export async function floats(host: HostTensor): Promise<Float32Array> {
  const values = new Float32Array(host.data.length);
  copyFloats(host, values);
  return values;
}

/** The values of every parameter, rounded to float32. */
export async function parameterFloats({ config, source }: Checkpoint): Promise<ReadonlyMap<string, Float32Array>> {
  const all = new Map<string, Float32Array>();
  for (const spec of modelParameters(config)) all.set(spec.name, await floats(await source(spec)));
  return all;
}

/** Expects every parameter to be equal bit for bit. */
export async function expectSameParameters(a: Checkpoint, b: Checkpoint): Promise<void> {
  const [left, right] = [await parameterFloats(a), await parameterFloats(b)];
  expect([...left.keys()]).toEqual([...right.keys()]);
  for (const [name, values] of left) expectSameBits(values, right.get(name)!, name);
}

/** Expects equal bits. This is fast for large arrays, which toEqual is not. */
export function expectSameBits(a: Float32Array, b: Float32Array, name: string): void {
  const bytes = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  expect(bytes(a).equals(bytes(b)), name).toBe(true);
}

/** Makes a GGUF file with any header; every part is written as it is given. */
export class RawGguf {
  magic = 'GGUF';
  version = 3;
  tensorCount: bigint | undefined;
  keyCount: bigint | undefined;
  readonly metadata: Uint8Array[] = [];
  readonly tensors: Uint8Array[] = [];
  data = new Uint8Array(0);

  /** Adds an entry whose value is already encoded. */
  entry(key: string | Uint8Array, type: number, value: Uint8Array): this {
    this.metadata.push(join(string(key), u32(type), value));
    return this;
  }

  tensor(name: string, extents: readonly (number | bigint)[], type: number, offset: number | bigint): this {
    this.tensors.push(join(string(name), u32(extents.length), ...extents.map(u64), u32(type), u64(offset)));
    return this;
  }

  bytes(alignment = 32): Uint8Array {
    const header = join(
      new TextEncoder().encode(this.magic),
      u32(this.version),
      u64(this.tensorCount ?? this.tensors.length),
      u64(this.keyCount ?? this.metadata.length),
      ...this.metadata,
      ...this.tensors,
    );
    const padded = new Uint8Array(Math.ceil(header.length / alignment) * alignment);
    padded.set(header);
    return this.data.length > 0 || this.tensors.length > 0 ? join(padded, this.data) : header;
  }

  source(): ReturnType<typeof bytesSource> {
    return bytesSource(this.bytes(), 'raw.gguf');
  }
}

export function string(text: string | Uint8Array): Uint8Array {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  return join(u64(bytes.length), bytes);
}

export function u32(value: number): Uint8Array {
  return new Uint8Array(new Uint32Array([value]).buffer);
}

export function u64(value: number | bigint): Uint8Array {
  return new Uint8Array(new BigUint64Array([BigInt(value)]).buffer);
}

export function join(...pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(pieces.flatMap((piece) => [...piece]));
}
