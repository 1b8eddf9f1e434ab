import { readFileSync } from 'node:fs';

export interface Fixture {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly data: Float32Array | Float64Array;
}

/** The F32 and F64 tensors of a safetensors file by name, and its metadata. Trusts the file: for the fixtures only. */
export function readFixture(url: URL): { tensors: Map<string, Fixture>; metadata: Record<string, string> } {
  const file = readFileSync(url);
  const headerSize = Number(file.readBigUInt64LE(0));
  const { __metadata__: metadata, ...entries } = JSON.parse(file.toString('utf8', 8, 8 + headerSize));
  const tensors = new Map<string, Fixture>();
  for (const [name, value] of Object.entries(entries)) {
    const { dtype, shape, data_offsets } = value as { dtype: string; shape: number[]; data_offsets: [number, number] };
    const [start, end] = data_offsets.map((offset) => 8 + headerSize + offset) as [number, number];
    // Copied, because a typed array's offset has to be a multiple of its element's size.
    const bytes = new Uint8Array(file.subarray(start, end)).buffer;
    tensors.set(name, { shape, dtype, data: dtype === 'F64' ? new Float64Array(bytes) : new Float32Array(bytes) });
  }
  return { tensors, metadata };
}
