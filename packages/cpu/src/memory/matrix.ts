/** Matrices into panels and back, a slab at a time, so that scratch stays small whatever the matrix. */
import type { HostTensor } from '@mamba/core';
import { copyFloats, type DeviceTensor, float16ToNumber, numberToFloat16, type UploadTarget } from '@mamba/core/driver';
import type { KernelExports } from '../wasm/exports.ts';
import type { Heap } from './heap.ts';
import { type Layout, layoutNumber, matrixBytes, matrixLayout, PANEL, panelBytes, type Storage } from './storage.ts';

const SLAB = 4 * 2 ** 20;

/** Whether an upload to this target is a matrix in panels. */
export function isMatrix(shape: readonly number[], { dtype, role }: UploadTarget): boolean {
  if (shape.length !== 2 || dtype === 'int32') return false;
  return role === 'matrix' || dtype !== 'float32';
}

type Floats = Exclude<HostTensor, { dtype: 'int32' }>;

/** @throws MambaError `out-of-memory` */
export function uploadMatrix(heap: Heap, wasm: KernelExports, host: Floats, { dtype }: UploadTarget): Storage {
  const [outputs, inputs] = host.shape as [number, number];
  const finite = dtype !== 'float16' || fitsHalves(host);
  // float16 is widened by arithmetic that knows no infinity: a matrix that holds one is stored as the float32 of the same values.
  const layout: Layout = finite ? matrixLayout(dtype) : 'float32';
  const bits = layout === 'float16' && host.dtype === 'float16' ? host.data : undefined;
  const width = bits === undefined ? 4 : 2;
  return heap.run((arena) => {
    const block = arena.result(matrixBytes(layout, inputs, outputs));
    const rows = slabRows(inputs, outputs);
    const slab = arena.scratch(rows * inputs * width);
    const storage: Storage = { ...block, layout };
    for (let first = 0; first < outputs; first += rows) {
      const count = Math.min(rows, outputs - first);
      const [from, to] = [first * inputs, (first + count) * inputs];
      const target = block.address + (first / PANEL) * panelBytes(layout, inputs);
      if (bits !== undefined) {
        heap.halves(slab, count * inputs).set(bits.subarray(from, to));
        wasm.packBits(slab.address, inputs, count, target);
      } else {
        const values = heap.floats(slab, count * inputs);
        copyFloats({ ...host, data: host.data.subarray(from, to) } as HostTensor, values);
        if (!finite)
          for (const [index, value] of values.entries()) values[index] = float16ToNumber(numberToFloat16(value));
        wasm.packMatrix(slab.address, inputs, count, layoutNumber(storage), target);
      }
    }
    return storage;
  });
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

/** Whether all values are finite as float16. */
function fitsHalves(host: Floats): boolean {
  if (host.dtype === 'float16') return host.data.every((bits) => (bits & 0x7c00) !== 0x7c00);
  if (host.dtype === 'bfloat16') return host.data.every((bits) => (bits & 0x7fff) < 0x4780);
  return (host.data as Float32Array).every((value) => Math.abs(value) < 65520);
}
