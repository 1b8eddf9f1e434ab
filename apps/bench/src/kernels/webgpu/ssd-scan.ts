/** Mamba-2's scan on webgpu, forward, backward and one step, after a comparison with the float64 reference. */
import { type Case, ssdScanBackwardCase, ssdScanCase } from '@mamba/conformance';
import type { Backend } from '@mamba/core';
import { disposeAll } from '@mamba/core/toolkit';
import { webgpu } from '@mamba/webgpu';
import { ssdOperations } from '../../cases/work.ts';
import { tensor } from './operands.ts';
import { type Session, withDevice } from './session.ts';
import { deviceTimes } from './timing.ts';
import { verify } from './verify.ts';

/** Of mamba2-780m. */
const SIZES = { heads: 48, headDim: 64, state: 128 } as const;
const SHAPES = [
  { batch: 1, length: 1 },
  { batch: 64, length: 1 },
  { batch: 1, length: 2048 },
  { batch: 8, length: 2048 },
  { batch: 1, length: 32768 },
] as const;

export function ssdScan(session: Session): Promise<void> {
  const { quick, report } = session;
  return withDevice(session, async (device, heat) => {
    const backend = await webgpu({ device, profile: true }).create();
    try {
      report({ name: 'ssd scan: largest error', relative: await verify(backend, checks(quick)) });
      const sizes = quick ? { ...SIZES, heads: 2 } : SIZES;
      for (const shape of quick ? [{ batch: 1, length: 64 }] : SHAPES) {
        const { forward, backward, free } = calls(backend, { ...sizes, ...shape });
        heat?.(800);
        const { microseconds, kernels } = await deviceTimes(backend, forward, { quick, heat });
        const operations = ssdOperations({ ...sizes, ...shape });
        report({ name: 'ssd scan', microseconds, ...shape, 'TFLOP/s': operations / microseconds / 1e6, ...kernels });
        if (shape.length > 1) {
          const times = await deviceTimes(backend, backward, { quick, heat });
          report({
            name: 'ssd scan backward',
            microseconds: times.microseconds,
            ...shape,
            forwards: times.microseconds / microseconds,
            ...times.kernels,
          });
        }
        free();
      }
    } finally {
      await backend.dispose();
    }
  });
}

/** Shapes that reach every kernel of a sequence and a step: several segments, one, and a single chunk. */
function checks(quick: boolean): readonly Case[] {
  const shape = { batch: quick ? 1 : 2, heads: quick ? 2 : 4, headDim: 64, state: 128, groups: 2 } as const;
  const sequence = { ...shape, id: 'sequence', length: 300 };
  const first = [
    ssdScanCase(sequence),
    ssdScanCase({ ...shape, id: 'step', length: 1 }),
    ssdScanBackwardCase(sequence),
  ];
  if (quick) return first;
  return [
    ...first,
    ssdScanCase({ ...shape, id: 'one-segment', heads: 200, headDim: 16, state: 16, length: 150, initialState: true }),
    ssdScanCase({ ...shape, id: 'one-chunk', length: 100, initialState: true, resets: true }),
  ];
}

interface Shape {
  readonly batch: number;
  readonly length: number;
  readonly heads: number;
  readonly headDim: number;
  readonly state: number;
}

function calls(backend: Backend, { batch, length, heads, headDim, state }: Shape) {
  const sequence = (...rest: number[]) => tensor(backend, [batch, length, ...rest]);
  const [x, dy, B, C] = [sequence(heads, headDim), sequence(heads, headDim), sequence(1, state), sequence(1, state)];
  const dt = tensor(backend, [batch, length, heads], 1, -3);
  const A = tensor(backend, [heads], 0.5, -1);
  const D = tensor(backend, [heads]);
  const options = { D, dtBias: D, dtSoftplus: true };
  return {
    forward: () => disposeAll(Object.values(backend.ssdScan(x, dt, A, B, C, options))),
    backward: () => disposeAll(Object.values(backend.ssdScanBackward(x, dt, A, B, C, options, { y: dy }))),
    free: () => disposeAll([x, dy, B, C, dt, A, D]),
  };
}
