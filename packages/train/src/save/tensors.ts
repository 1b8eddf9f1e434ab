import type { ByteSink } from '@mamba/checkpoint';
import { type HostArray, type Shape, sizeOf } from '@mamba/core';

/** A tensor that is read when its turn comes. */
export interface LazyTensor {
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: 'float32' | 'float64';
  read(): Promise<HostArray>;
}

/** Writes a safetensors file, one tensor in memory at a time. The sink stays open. */
export async function writeTensors(sink: ByteSink, tensors: readonly LazyTensor[]): Promise<void> {
  let end = 0;
  const entries = tensors.map(({ name, shape, dtype }) => {
    const begin = end;
    end += sizeOf(shape) * (dtype === 'float64' ? 8 : 4);
    return [name, { dtype: dtype === 'float64' ? 'F64' : 'F32', shape, data_offsets: [begin, end] }];
  });
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  // Spaces fill the header up, so that the data is aligned.
  const header = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true);
  header.set(json, 8);
  await sink.write(header);
  for (const tensor of tensors) {
    const { buffer, byteOffset, byteLength } = await tensor.read();
    await sink.write(new Uint8Array(buffer, byteOffset, byteLength));
  }
}
