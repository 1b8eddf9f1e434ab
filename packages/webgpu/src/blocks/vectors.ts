/** Small weights of a block in one buffer, since a browser promises only eight storage buffers a shader. */
import type { PooledBuffer } from '../gpu/buffer-pool.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';

/** Copies vectors, each given with its number of elements, one behind another. Room is left for an absent one. */
export function copyVectors(
  gpu: Gpu,
  target: PooledBuffer,
  parts: readonly (readonly [BufferRange | undefined, number])[],
): void {
  let at = 0;
  for (const [source, elements] of parts) {
    const bytes = 4 * elements;
    if (source !== undefined) gpu.recorder.copy(source.buffer, source.offset, target.buffer, at, bytes);
    at += bytes;
  }
}
