/**
 * Packs matrices into panels and reads them back, a slab of rows at a time, so that scratch stays small whatever the
 * matrix is.
 */
import type { DType, HostTensor, Shape } from '@mamba/core';
import {
  copyFloats,
  type DeviceTensor,
  float16ToNumber,
  numberToFloat16,
  type RowUpload,
  type UploadTarget,
} from '@mamba/core/driver';
import { PANEL } from '../generated/calls.ts';
import type { KernelExports } from '../generated/exports.ts';
import type { Allocation } from './allocator.ts';
import type { Heap } from './heap.ts';
import { type Layout, layoutNumber, matrixBytes, matrixLayout, panelBytes, type Storage } from './storage.ts';

/** Bytes of float32 in a slab. */
const SLAB = 4 * 2 ** 20;

/** Whether a tensor uploaded to this target becomes a matrix in panels. */
export function isMatrix(shape: readonly number[], { dtype, role }: UploadTarget): boolean {
  if (shape.length !== 2 || dtype === 'int32') return false;
  return role === 'matrix' || dtype !== 'float32';
}

/** @throws MambaError `out-of-memory` */
export function uploadMatrix(heap: Heap, wasm: KernelExports, host: HostTensor, { dtype }: UploadTarget): Storage {
  const [outputs, inputs] = host.shape as [number, number];
  const upload = matrixUpload(heap, wasm, host.shape, dtype);
  try {
    for (let first = 0; first < outputs; first += upload.rowsAtOnce) {
      const count = Math.min(upload.rowsAtOnce, outputs - first);
      const data = host.data.subarray(first * inputs, (first + count) * inputs);
      upload.write({ ...host, shape: [count, inputs], data } as HostTensor);
    }
    return upload.storage;
  } catch (error) {
    upload.storage.free();
    throw error;
  }
}

/** A matrix to be written a slab of rows at a time. @throws MambaError `out-of-memory`, as `write` does. */
export function matrixUpload(heap: Heap, wasm: KernelExports, shape: Shape, dtype: DType): RowUpload<Storage> {
  const [outputs, inputs] = shape as [number, number];
  const rowsAtOnce = slabRows(inputs, outputs);
  const make = (layout: Layout): Storage => ({ ...heap.allocate(matrixBytes(layout, inputs, outputs)), layout });
  let storage = make(matrixLayout(dtype));
  /** Rows that have been written. */
  let done = 0;

  const panelOf = (row: number, { address, layout }: Storage): number =>
    address + (row / PANEL) * panelBytes(layout!, inputs);
  const pack = (slab: Allocation, first: number, count: number, to: Storage): void =>
    wasm.packMatrix(slab.address, inputs, count, layoutNumber(to), panelOf(first, to));

  /**
   * Kernels widen float16 by arithmetic that knows no infinity, so a matrix that holds one is stored as float32 of the
   * same values.
   */
  const widen = (): void => {
    const wide = make('float32');
    try {
      heap.run((arena) => {
        const slab = arena.scratch(rowsAtOnce * inputs * 4);
        for (let first = 0; first < done; first += rowsAtOnce) {
          wasm.unpackMatrix(storage.address, inputs, first, rowsAtOnce, layoutNumber(storage), slab.address);
          pack(slab, first, rowsAtOnce, wide);
        }
      });
    } catch (error) {
      wide.free();
      throw error;
    }
    storage.free();
    storage = wide;
  };

  return {
    get storage() {
      return storage;
    },
    rowsAtOnce,
    write(host) {
      const count = host.shape[0]!;
      const size = count * inputs;
      if (storage.layout === 'float16' && !fitsFloat16(host)) widen();
      heap.run((arena) => {
        if (storage.layout === 'float16' && host.dtype === 'float16') {
          const slab = arena.scratch(size * 2);
          heap.halves(slab, size).set(host.data);
          wasm.packBits(slab.address, inputs, count, panelOf(done, storage));
          return;
        }
        const slab = arena.scratch(size * 4);
        const values = heap.floats(slab, size);
        copyFloats(host, values);
        if (dtype === 'float16' && storage.layout === 'float32')
          for (const [index, value] of values.entries()) values[index] = float16ToNumber(numberToFloat16(value));
        pack(slab, done, count, storage);
      });
      done += count;
    },
  };
}

export function readMatrix(heap: Heap, wasm: KernelExports, { shape, storage }: DeviceTensor<Storage>): Float32Array {
  const [outputs, inputs] = shape as [number, number];
  const values = new Float32Array(outputs * inputs);
  heap.run((arena) => {
    const rows = slabRows(inputs, outputs);
    const slab = arena.scratch(rows * inputs * 4);
    for (let first = 0; first < outputs; first += rows) {
      const count = Math.min(rows, outputs - first);
      wasm.unpackMatrix(storage.address, inputs, first, count, layoutNumber(storage), slab.address);
      values.set(heap.floats(slab, count * inputs), first * inputs);
    }
  });
  return values;
}

function slabRows(inputs: number, outputs: number): number {
  const panels = Math.max(1, Math.floor(SLAB / (inputs * 4 * PANEL)));
  return Math.min(panels, Math.ceil(outputs / PANEL)) * PANEL;
}

/**
 * Whether all values are finite as float16. It loops since `every` boxes each value, which is garbage of tens of MiB
 * while a model is loaded.
 */
function fitsFloat16({ dtype, data }: HostTensor): boolean {
  if (dtype === 'float16' || dtype === 'bfloat16') {
    const [mask, bound] = dtype === 'float16' ? [0x7c00, 0x7c00] : [0x7fff, 0x4780];
    for (let index = 0; index < data.length; index++) if ((data[index]! & mask) >= bound) return false;
    return true;
  }
  for (let index = 0; index < data.length; index++) if (!(Math.abs(data[index]!) < 65520)) return false;
  return true;
}
