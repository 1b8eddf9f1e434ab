/** Memory for activations. Blocks run one after another, so they share the same buffers. */
import type { PooledBuffer } from '../gpu/buffer-pool.ts';
import { wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';

/** A buffer that a block needs. */
export interface BufferSize {
  readonly bytes: number;
  /** Names the contents in messages. */
  readonly label: string;
}

export type BufferSizes<Name extends string = string> = Readonly<Record<Name, BufferSize>>;
export type Buffers<Name extends string = string> = Readonly<Record<Name, BufferRange>>;

/**
 * Allocates every block's buffers, by name. The first buffers of all blocks are the same memory, as large as the
 * largest of them; so are the second ones, and so on. So there are as many allocations as the block with the most
 * buffers has.
 */
export function shareBuffers(
  blocks: readonly BufferSizes[],
  allocate: (size: BufferSize) => PooledBuffer,
): readonly Buffers[] {
  const largest: BufferSize[] = [];
  for (const sizes of blocks)
    for (const [index, size] of Object.values(sizes).entries())
      if (largest[index] === undefined || size.bytes > largest[index].bytes) largest[index] = size;
  const memory = largest.map((size) => wholeRange(allocate(size)));
  return blocks.map((sizes) =>
    Object.fromEntries(Object.entries(sizes).map(([name, { bytes }], index) => [name, startOf(memory[index]!, bytes)])),
  );
}

/** The first bytes of a range, whole vec4s. */
function startOf({ buffer, offset }: BufferRange, bytes: number): BufferRange {
  return { buffer, offset, size: Math.max(16, Math.ceil(bytes / 16) * 16) };
}
