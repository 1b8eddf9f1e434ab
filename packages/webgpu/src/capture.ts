import { type HostTensor, sizeOf, type TensorSpec } from '@mamba/core';
import type { CapturedKernels } from '@mamba/core/driver';
import type { Gpu } from './gpu/gpu.ts';
import { type Storage, unsplitStorage } from './storage.ts';
import { encodeRows } from './transfer/encode.ts';

/**
 * Captures the kernels that `body` calls as one plan: a replay writes the inputs, and sends all dispatches in one
 * compute pass, which only transfers end. Buffers are the plan's own, so that bind groups stay as they are.
 */
export function capture(
  gpu: Gpu,
  specs: readonly TensorSpec[],
  body: (inputs: readonly Storage[]) => void,
): CapturedKernels {
  let inputs: readonly Storage[] = [];
  const { plan, bytes, forget } = gpu.captureAll(() => {
    inputs = gpu.allocating((allocator) =>
      specs.map(({ shape, dtype }) =>
        unsplitStorage(
          allocator.constant(4 * sizeOf(shape), 'input of a capture'),
          dtype === 'int32' ? 'int32' : 'float32',
        ),
      ),
    );
    body(inputs);
  });
  return {
    bytes,
    replay(hosts) {
      gpu.failures.checkAlive();
      for (const [index, host] of hosts.entries()) write(gpu, inputs[index]!, host);
      gpu.recorder.replayWhole(plan);
    },
    dispose: forget,
  };
}

function write(gpu: Gpu, { format, parts }: Storage, host: HostTensor): void {
  const { buffer } = parts[0]!.buffer;
  const { values } = encodeRows(host, format, host.data.length, 0, 1);
  gpu.recorder.write(buffer, 0, values);
}
