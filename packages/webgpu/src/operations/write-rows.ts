import type { DeviceTensor, WriteRowsCall } from '@mamba/core/driver';
import { writeRows as shader } from '../generated/index.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { rangeOf, type Storage } from '../storage.ts';

/** Writes rows to a tensor in place. */
export function writeRows(gpu: Gpu, call: WriteRowsCall<DeviceTensor<Storage>>): void {
  const { target, rows, offsets, offset, batch, capacity, length, channels } = call;
  const size = batch * length * channels;
  gpu.dispatch(shader, {
    overrides: { OFFSETS: offsets !== undefined },
    bindings: {
      rows: rangeOf(rows),
      offsets: offsets ? rangeOf(offsets) : gpu.unusedInput,
      destination: rangeOf(target),
    },
    uniforms: { size, length, channels, capacity, offset },
    workgroups: gpu.grid(Math.ceil(size / 256)),
  });
}
