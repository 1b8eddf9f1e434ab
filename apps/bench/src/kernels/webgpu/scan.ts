/**
 * The selective scan on webgpu: over shapes, by the backend's own rule or in forced layouts, and over lengths to 2^20.
 */
import type { Backend, SelectiveScanOptions, Tensor } from '@mamba/core';
import { type ScanVariant, webgpu } from '@mamba/webgpu';
import { logLogSlope } from '../../timing/statistics.ts';
import type { Heat } from './heater.ts';
import { tensor } from './operands.ts';
import { type ForcedLayout, type ScanExtents, type Session, withDevice } from './session.ts';
import { deviceTime, timeInARow } from './timing.ts';

const STATES = 16;

const SHAPES: readonly ScanExtents[] = [
  ...[512, 2048, 8192, 1 << 15, 1 << 17].map((length) => [1, 512, length] as const),
  [1, 1024, 512],
  [1, 1024, 2048],
  [1, 1024, 8192],
  ...[512, 2048, 8192, 1 << 15].map((length) => [1, 1536, length] as const),
  [4, 1536, 2048],
  [1, 5120, 2048],
  [8, 2048, 2048],
  [16, 2048, 2048],
  [32, 2048, 1024],
  [64, 2048, 512],
  [1, 64, 1 << 20],
];

export function scan(session: Session): Promise<void> {
  const { quick, layouts, fail } = session;
  const own = quick ? ([[1, 64, 512]] as const) : SHAPES;
  return withDevice(session, async (device, heat) => {
    for (const shape of session.shapes.length > 0 ? session.shapes : own) {
      for (const layout of [undefined, ...layouts]) {
        if (layout !== undefined && layout.chunkLength >= shape[2]) continue;
        const scanVariant = variantOf(layout, shape[2]);
        try {
          await measure(session, { device, heat, shape, layout, scanVariant });
        } catch (error) {
          fail(`scan ${shape.join(' ')} ${JSON.stringify(scanVariant)}`, error);
        }
      }
    }
  });
}

function variantOf(layout: ForcedLayout | undefined, length: number): ScanVariant | undefined {
  if (layout === undefined) return undefined;
  const { euler, chunkLength } = layout;
  return { euler, chunks: chunkLength > 0 ? Math.ceil(length / chunkLength) : 1 };
}

interface ScanRun {
  readonly device: GPUDevice;
  readonly heat: Heat | undefined;
  readonly shape: ScanExtents;
  readonly layout: ForcedLayout | undefined;
  readonly scanVariant: ScanVariant | undefined;
}

async function measure(session: Session, { device, heat, shape, layout, scanVariant }: ScanRun): Promise<void> {
  const { quick, inARow, report, copyBytesPerSecond } = session;
  const [batch, dim, length] = shape;
  const backend = await webgpu({ device, profile: !inARow, testing: { scanVariant } }).create();
  try {
    const [u, delta, z] = [
      tensor(backend, [batch, length, dim]),
      tensor(backend, [batch, length, dim], 1, -3),
      tensor(backend, [batch, length, dim]),
    ];
    const D = tensor(backend, [dim]);
    const call = scanCall(backend, { u, delta, batch, dim, length }, { D, z, deltaBias: D, deltaSoftplus: true });
    // The clocks fell while the operands were made.
    heat?.(800);
    const microseconds = await (inARow ? timeInARow : deviceTime)(backend, call, { quick, heat });
    const elements = batch * length * dim;
    const bytes = 16 * elements + 8 * batch * length * STATES;
    report({
      name: layout === undefined ? 'scan rule' : `scan ${layout.text}`,
      microseconds,
      batch,
      dim,
      length,
      'Gelements/s': elements / microseconds / 1000,
      'GB/s': bytes / microseconds / 1000,
      ofCopy: copyBytesPerSecond && bytes / (microseconds * 1e-6) / copyBytesPerSecond,
    });
  } finally {
    await backend.dispose();
  }
}

/** Times one forced variant, chunks of 256, over lengths to 2^20, and gives the slope of log time over log length. */
export function slope(session: Session): Promise<void> {
  const { quick, report } = session;
  const dim = 64;
  return withDevice(session, async (device) => {
    const times: { x: number; y: number }[] = [];
    for (const length of quick ? [256, 512] : [1 << 14, 1 << 16, 1 << 18, 1 << 20]) {
      const backend = await webgpu({
        device,
        profile: true,
        testing: { scanVariant: { chunks: length / 256 } },
      }).create();
      const [u, delta] = [tensor(backend, [1, length, dim]), tensor(backend, [1, length, dim], 1, -3)];
      const call = scanCall(backend, { u, delta, batch: 1, dim, length }, { deltaSoftplus: true });
      const microseconds = await deviceTime(backend, call, { quick });
      times.push({ x: length, y: microseconds });
      report({ name: 'scan of 64 channels in chunks of 256', microseconds, length });
      await backend.dispose();
    }
    report({ name: 'slope of log time over log length', slope: logLogSlope(times) });
  });
}

function scanCall(
  backend: Backend,
  { u, delta, batch, dim, length }: ScanInputs,
  options: SelectiveScanOptions<Tensor>,
): () => void {
  const A = tensor(backend, [dim, STATES], 0.5, -1);
  const [B, C] = [tensor(backend, [batch, length, STATES]), tensor(backend, [batch, length, STATES])];
  return () => {
    const { y, lastState } = backend.selectiveScan(u, delta, A, B, C, options);
    y.dispose();
    lastState.dispose();
  };
}

interface ScanInputs {
  readonly u: Tensor;
  readonly delta: Tensor;
  readonly batch: number;
  readonly dim: number;
  readonly length: number;
}
