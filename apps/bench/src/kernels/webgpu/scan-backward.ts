/** The backward selective scan on webgpu: over shapes, by the backend's own rule and in forced layouts. */
import type { Backend, SelectiveScanOptions, Tensor } from '@mamba/core';
import { type ScanBackwardVariant, webgpu } from '@mamba/webgpu';
import type { Heat } from './heater.ts';
import { tensor } from './operands.ts';
import { type ForcedBackwardLayout, type ScanExtents, type Session, withDevice } from './session.ts';
import { type DeviceTimes, deviceTimes, timeInARow } from './timing.ts';

const STATES = 16;
/** What an element has to read and write at the least: u, delta, z, dy; du, ddelta, dz. */
const BYTES = 28;

const SHAPES: readonly ScanExtents[] = [
  [1, 1024, 2048],
  [1, 1536, 8192],
  [8, 2048, 2048],
  [64, 2048, 512],
  [1, 512, 131_072],
  [1, 64, 1 << 20],
];

/** The dispatches by the stems of their shaders; `pack` copies small operands, and the main one is of either kernel. */
const DISPATCHES = {
  pack: 'pack',
  'selective-scan-backward-states': 'states',
  'selective-scan-backward-carry': 'carry',
  'selective-scan-backward-euler': 'main',
  'selective-scan-backward': 'main',
  'selective-scan-backward-sums': 'sums',
} as const;

export function scanBackward(session: Session): Promise<void> {
  const own = session.quick ? ([[1, 16, 64]] as const) : SHAPES;
  return withDevice(session, async (device, heat) => {
    for (const shape of session.shapes.length > 0 ? session.shapes : own) {
      for (const layout of [undefined, ...session.backwardLayouts]) {
        try {
          await measure(session, { device, heat, shape, layout });
        } catch (error) {
          session.fail(`scan-backward ${shape.join(' ')} ${layout?.text ?? 'rule'}`, error);
        }
      }
    }
  });
}

interface Run {
  readonly device: GPUDevice;
  readonly heat: Heat | undefined;
  readonly shape: ScanExtents;
  readonly layout: ForcedBackwardLayout | undefined;
}

async function measure(session: Session, { device, heat, shape, layout }: Run): Promise<void> {
  const { quick, inARow, report, copyBytesPerSecond } = session;
  const [batch, dim, length] = shape;
  const scanBackwardVariant = layout && variantOf(layout, length);
  const backend = await webgpu({ device, profile: !inARow, testing: { scanBackwardVariant } }).create();
  try {
    const calls = scanCalls(backend, shape);
    // The clocks fell while the operands were made.
    heat?.(800);
    const times = async (call: () => void): Promise<DeviceTimes> =>
      inARow
        ? { microseconds: await timeInARow(backend, call, { quick, heat }), kernels: {} }
        : await deviceTimes(backend, call, { quick, heat });
    const elements = batch * length * dim;
    const bytes = BYTES * elements + 16 * batch * length * STATES;
    // From states that the forward scan kept, too, where it keeps any; `forward` is then the scan that keeps them.
    for (const keepStates of calls.keeps ? [false, true] : [false]) {
      const forward = await times(() => calls.forward(keepStates));
      const { microseconds, kernels } = await times(() => calls.backward(keepStates));
      report({
        name: `scan backward ${layout?.text ?? 'rule'}${keepStates ? ' from kept states' : ''}`,
        microseconds,
        batch,
        dim,
        length,
        'GB/s': bytes / microseconds / 1000,
        ofCopy: copyBytesPerSecond && bytes / (microseconds * 1e-6) / copyBytesPerSecond,
        forward: forward.microseconds,
        forwards: microseconds / forward.microseconds,
        ...byDispatch(kernels),
      });
    }
  } finally {
    await backend.dispose();
  }
}

function variantOf({ euler, chunkLength }: ForcedBackwardLayout, length: number): ScanBackwardVariant {
  return { euler, chunkLength: chunkLength > 0 ? chunkLength : length };
}

function byDispatch(kernels: DeviceTimes['kernels']): Readonly<Record<string, number>> {
  const entries = Object.entries(DISPATCHES).filter(([stem]) => kernels[stem] !== undefined);
  return Object.fromEntries(entries.map(([stem, name]) => [name, kernels[stem]!]));
}

/** A scan as a Mamba block has it, forward and backward. */
function scanCalls(backend: Backend, [batch, dim, length]: ScanExtents) {
  const sequence = (scale?: number, offset?: number): Tensor => tensor(backend, [batch, length, dim], scale, offset);
  const [u, delta, z, dy] = [sequence(), sequence(1, -3), sequence(), sequence()];
  const A = tensor(backend, [dim, STATES], 0.5, -1);
  const [B, C] = [tensor(backend, [batch, length, STATES]), tensor(backend, [batch, length, STATES])];
  const D = tensor(backend, [dim]);
  const options: SelectiveScanOptions<Tensor> = { D, z, deltaBias: D, deltaSoftplus: true };
  const freed = (results: object): void => {
    for (const result of Object.values(results) as (Tensor | undefined)[]) result?.dispose();
  };
  const scan = (keepStates: boolean) => backend.selectiveScan(u, delta, A, B, C, { ...options, keepStates });
  const { states, ...others } = scan(true);
  freed(others);
  return {
    keeps: states !== undefined,
    forward: (keepStates: boolean) => freed(scan(keepStates)),
    backward: (kept: boolean) =>
      freed(backend.selectiveScanBackward(u, delta, A, B, C, options, { y: dy }, kept ? states : undefined)),
  };
}
