/** Norms, sums and products of elements on webgpu. */
import type { Tensor } from '@mamba/core';
import { webgpu } from '@mamba/webgpu';
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
    const [a, b] = [tensor(backend, [rows, channels]), tensor(backend, [rows, channels])];
    const weight = tensor(backend, [channels]);
    const calls: readonly [name: string, call: () => Tensor, tensors: number][] = [
      ['rmsNorm', () => backend.rmsNorm(a, { weight }), 2],
      ['layerNorm', () => backend.layerNorm(a, { weight, bias: weight }), 2],
      ['add', () => backend.add(a, b), 3],
      ['multiply', () => backend.multiply(a, b), 3],
      ['multiply with SiLU', () => backend.multiply(a, b, { activation: 'silu' }), 3],
    ];
    for (const [name, call, tensors] of calls) {
      const microseconds = await deviceTime(backend, () => call().dispose(), { quick });
      const bytes = 4 * tensors * rows * channels;
      report({ name, microseconds, rows, channels, 'GB/s': bytes / microseconds / 1000 });
    }
    for (const item of [a, b, weight]) item.dispose();
  }
  await backend.dispose();
}
