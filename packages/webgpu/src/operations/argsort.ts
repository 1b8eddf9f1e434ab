import type { TensorSpec } from '@mamba/core';
import type { ArgsortCall, DeviceTensor } from '@mamba/core/driver';
import { argsort as shader } from '../generated/index.ts';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import { workgroupsRefusal } from '../gpu/limits.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';

/** Keys of a workgroup: LANES of the shader. */
const LANES = 256;

export function argsort(gpu: Gpu, { keys, rows, length }: ArgsortCall<DeviceTensor<Storage>>): Storage {
  return gpu.allocating((allocator) => {
    const order = allocator.result(4 * rows * length, 'argsort');
    gpu.dispatch(shader, {
      bindings: { keys: rangeOf(keys), order: wholeRange(order) },
      uniforms: { length },
      workgroups: [Math.ceil(length / LANES), rows],
    });
    return unsplitStorage(order, 'int32');
  });
}

/** The reason why a call cannot run on this device, although the keys fit. */
export function argsortRefusal(gpu: Gpu, { rows, length }: ArgsortCall<TensorSpec>): string | undefined {
  return workgroupsRefusal(gpu, 'the rows', rows) ?? workgroupsRefusal(gpu, 'a row', Math.ceil(length / LANES));
}
