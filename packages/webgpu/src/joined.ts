/** Matrices with the same inputs that lie one behind another, so that one product takes them all. */
import type { DeviceTensor } from '@mamba/core/driver';
import type { Gpu } from './gpu/gpu.ts';
import { ALIGNMENT, type BufferRange } from './gpu/shader.ts';
import { type Part, rowBytes, type Storage, scaleBytes } from './storage.ts';

/** The matrix that a storage is a part of, and which part it is. */
export interface Joined {
  readonly whole: Storage;
  readonly index: number;
  readonly count: number;
  /** Counts the parts that are not freed; the memory is freed with the last. */
  readonly alive: { parts: number };
}

/**
 * Copies matrices behind one another. Undefined where a shader could not bind each of them by itself, or all at once,
 * or where their formats differ.
 */
export function joinMatrices(gpu: Gpu, matrices: readonly DeviceTensor<Storage>[]): readonly Storage[] | undefined {
  const [{ storage: first, shape }] = matrices as [DeviceTensor<Storage>, ...DeviceTensor<Storage>[]];
  const columns = shape[1]!;
  const { format } = first;
  const [rowSize, scaleSize] = [rowBytes(format, columns), scaleBytes(format, columns)];
  const counts = matrices.map((matrix) => matrix.shape[0]!);
  const rows = counts.reduce((sum, count) => sum + count, 0);
  // Whole vec4s, since a shader may bind scales together with the values.
  const [valuesSize, scalesSize] = [rows * rowSize, Math.ceil((rows * scaleSize) / 16) * 16];
  const fit =
    matrices.every((matrix) => matrix.storage.format === format && matrix.shape[1] === columns) &&
    matrices.every(({ storage }) => storage.parts.length === 1 && storage.joined === undefined) &&
    counts.every((count) => (count * rowSize) % ALIGNMENT === 0 && (count * scaleSize) % ALIGNMENT === 0) &&
    valuesSize + scalesSize + 16 <= gpu.maxBinding;
  if (!fit) return undefined;
  return gpu.allocating((allocator) => {
    const label = `joined ${format} [${rows}, ${columns}]`;
    const buffer = allocator.constant(valuesSize + scalesSize, label);
    const range = (offset: number, size: number): BufferRange => ({ buffer: buffer.buffer, offset, size });
    const part = (from: number, count: number): Part => ({
      buffer,
      firstRow: 0,
      rows: count,
      values: range(from * rowSize, count * rowSize),
      scales: scaleSize === 0 ? undefined : range(valuesSize + from * scaleSize, count * scaleSize),
    });
    const whole = { format, parts: [part(0, rows)] };
    const alive = { parts: matrices.length };
    let from = 0;
    return matrices.map(({ storage }, index) => {
      const own = part(from, counts[index]!);
      copy(gpu, storage.parts[0]!.values, own.values);
      if (own.scales !== undefined) copy(gpu, storage.parts[0]!.scales!, own.scales);
      from += counts[index]!;
      return { format, parts: [own], joined: { whole, index, count: matrices.length, alive } };
    });
  });
}

/** The matrix that these storages are, in this order; undefined where they are not all of one. */
export function joinedStorage(storages: readonly Storage[]): Storage | undefined {
  const joined = storages.map((storage) => storage.joined);
  const whole = joined[0]?.whole;
  const fit = joined.every((part, index) => part?.whole === whole && part?.index === index);
  return fit && joined[0]?.count === storages.length ? whole : undefined;
}

function copy(gpu: Gpu, from: BufferRange, { buffer, offset, size }: BufferRange): void {
  gpu.recorder.copy(from.buffer, from.offset, buffer, offset, size);
}
