/** Norms, sums and products of elements on webgpu. */
import { webgpu } from '@mamba/webgpu';
import { smallOperations } from '../small-operations.ts';
import { tensor } from './operands.ts';
import type { Session } from './session.ts';
import { deviceTime } from './timing.ts';

const SHAPES = [
  [1, 768],
  [512, 768],
  [16384, 2048],
] as const;

export async function small({ toggles, quick, report }: Session): Promise<void> {
  const backend = await webgpu({ toggles, profile: true }).create();
  for (const [rows, channels] of quick ? ([[8, 64]] as const) : SHAPES) {
    const operands = {
      a: tensor(backend, [rows, channels]),
      b: tensor(backend, [rows, channels]),
      weight: tensor(backend, [channels]),
    };
    for (const { name, call, tensors } of smallOperations(backend, operands)) {
      const microseconds = await deviceTime(backend, () => call().dispose(), { quick });
      const bytes = 4 * tensors * rows * channels;
      report({ name, microseconds, rows, channels, 'GB/s': bytes / microseconds / 1000 });
    }
    for (const item of Object.values(operands)) item.dispose();
  }
  await backend.dispose();
}
