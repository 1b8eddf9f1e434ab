import type { HostArray, HostTensor, Support, TensorSpec } from '@mamba/core';
import { type DeviceTensor, type RowUpload, supported, type UploadTarget, unsupported } from '@mamba/core/driver';
import type { Allocator, Gpu } from '../gpu/gpu.ts';
import { ALIGNMENT } from '../gpu/shader.ts';
import { formatOf, type Part, rowBytes, type Storage, scaleBytes } from '../storage.ts';
import { decodeRows, encodeRows } from './encode.ts';

/**
 * Bytes that are converted and written at once. They bound the host memory that an upload takes beside the tensor
 * itself.
 */
const PIECE = 4 << 20;

export function supportsUpload(gpu: Gpu, spec: TensorSpec, { dtype }: UploadTarget): Support {
  const format = formatOf(dtype);
  if (format === undefined) return unsupported(`it stores float32, float16, bfloat16, q8, q4 and int32, not ${dtype}`);
  if (format !== 'float32' && format !== 'int32' && spec.shape.length !== 2)
    return unsupported(`it stores ${dtype} for matrices only, and this is [${spec.shape.join(', ')}]`);
  const { rows, columns } = matrixOf(spec);
  const split = format !== 'int32' && spec.shape.length === 2;
  const least = (split ? 1 : rows) * (rowBytes(format, columns) + scaleBytes(format, columns));
  if (least > gpu.maxBinding)
    return unsupported(
      `${split ? 'a row of it' : 'it'} takes ${least} bytes, more than the ${gpu.maxBinding} that a shader may bind here`,
    );
  return supported;
}

/** Copies a host tensor to the device, some rows at a time. */
export function upload(gpu: Gpu, host: HostTensor, target: UploadTarget): Storage {
  const { rows, columns } = matrixOf(host);
  return gpu.allocating((allocator) => {
    const { storage, rowsAtOnce, write } = filling(gpu, allocator, host, target);
    for (let first = 0; first < rows; first += rowsAtOnce) {
      const data = host.data.subarray(first * columns, (first + rowsAtOnce) * columns);
      write({ ...host, data } as HostTensor);
    }
    return storage;
  });
}

export function uploadRows(gpu: Gpu, spec: TensorSpec, target: UploadTarget): RowUpload<Storage> {
  return gpu.allocating((allocator) => filling(gpu, allocator, spec, target));
}

/**
 * Allocates buffers for all rows, which are then written in order. A matrix that is larger than a binding goes to
 * several buffers.
 */
function filling(gpu: Gpu, allocator: Allocator, spec: TensorSpec, { dtype, role }: UploadTarget): RowUpload<Storage> {
  const format = formatOf(dtype)!;
  const { rows, columns } = matrixOf(spec);
  const bytesPerRow = rowBytes(format, columns);
  const scalesPerRow = scaleBytes(format, columns);
  const label = `${role ?? 'tensor'} ${dtype} [${spec.shape.join(', ')}]`;
  // There is room for the gap between values and scales, and behind the scales.
  const rowsPerPart = Math.min(rows, Math.floor((gpu.maxBinding - ALIGNMENT - 16) / (bytesPerRow + scalesPerRow)) || 1);
  const parts: Part[] = [];
  for (let firstRow = 0; firstRow < rows; firstRow += rowsPerPart) {
    const count = Math.min(rowsPerPart, rows - firstRow);
    const scalesAt = Math.ceil((count * bytesPerRow) / ALIGNMENT) * ALIGNMENT;
    // Whole vec4s, since a shader may bind them together with the values.
    const scalesSize = Math.ceil((count * scalesPerRow) / 16) * 16;
    const buffer = allocator.constant(scalesSize > 0 ? scalesAt + scalesSize : count * bytesPerRow, label);
    parts.push({
      buffer,
      firstRow,
      rows: count,
      values: { buffer: buffer.buffer, offset: 0, size: scalesSize > 0 ? scalesAt : buffer.size },
      scales: scalesSize > 0 ? { buffer: buffer.buffer, offset: scalesAt, size: scalesSize } : undefined,
    });
  }
  /** Number of rows written so far. */
  let done = 0;
  return {
    storage: { format, parts },
    rowsAtOnce: Math.min(rows, Math.max(1, Math.floor(PIECE / (4 * columns)))),
    write(host) {
      const end = done + host.data.length / columns;
      const begin = done;
      while (done < end) {
        const { values: place, scales: scalesPlace, firstRow, rows: most } = parts[Math.floor(done / rowsPerPart)]!;
        const row = done - firstRow;
        const count = Math.min(end - done, most - row);
        const { values, scales } = encodeRows(host, format, columns, done - begin, count);
        gpu.recorder.write(place.buffer, place.offset + row * bytesPerRow, values);
        if (scalesPlace !== undefined)
          gpu.recorder.write(scalesPlace.buffer, scalesPlace.offset + row * scalesPerRow, scales!);
        done += count;
      }
    },
  };
}

export async function read(gpu: Gpu, tensor: DeviceTensor<Storage>): Promise<HostArray> {
  const { format, parts } = tensor.storage;
  const { rows: allRows, columns } = matrixOf(tensor);
  const size = tensor.shape.reduce((product, extent) => product * extent, 1);
  if (format === 'int32') {
    const { buffer } = parts[0]!.values;
    return new Int32Array(await gpu.readback.read(buffer, 0, 4 * size));
  }
  // All copies are recorded before the first wait, so that later calls cannot change what is read.
  const pieces = await Promise.all(
    parts.map(async ({ values, scales, firstRow, rows: most }) => {
      const rows = Math.min(most, allRows - firstRow);
      const [data, factors] = await Promise.all([
        gpu.readback.read(values.buffer, values.offset, rows * rowBytes(format, columns)),
        scales && gpu.readback.read(scales.buffer, scales.offset, rows * scaleBytes(format, columns)),
      ]);
      return decodeRows(data, factors, format, columns, rows);
    }),
  );
  if (pieces.length === 1) return pieces[0]!;
  const result = new Float32Array(size);
  let at = 0;
  for (const piece of pieces) {
    result.set(piece, at);
    at += piece.length;
  }
  return result;
}

/**
 * The tensor as a matrix: its last axis are the columns, and all others are flattened to rows. Only rank 2 is split.
 */
function matrixOf({ shape }: TensorSpec): { rows: number; columns: number } {
  if (shape.length === 2) return { rows: shape[0]!, columns: shape[1]! };
  return { rows: 1, columns: shape.reduce((product, extent) => product * extent, 1) };
}
