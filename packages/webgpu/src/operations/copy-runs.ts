import { copyRuns as shader } from '../generated/index.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';

/** Runs of 32-bit words, in words. */
export interface Runs {
  readonly count: number;
  readonly length: number;
  /** The distance from one run to the next. */
  readonly xStride: number;
  /** The place of the first run. */
  readonly xOffset: number;
  readonly yStride: number;
  readonly yOffset: number;
}

/** Copies runs of x to places of y, four words a lane where the runs allow it. */
export function copyRuns(gpu: Gpu, x: BufferRange, y: BufferRange, runs: Runs): void {
  const { count, length, xStride, xOffset, yStride, yOffset } = runs;
  const quads = [length, xStride, xOffset, yStride, yOffset].every((words) => words % 4 === 0);
  const words = quads ? 4 : 1;
  const size = (count * length) / words;
  gpu.dispatch(shader, {
    link: quads ? 'quads' : 'singles',
    bindings: { x, y },
    uniforms: {
      size,
      run: length / words,
      xStride: xStride / words,
      xOffset: xOffset / words,
      yStride: yStride / words,
      yOffset: yOffset / words,
    },
    workgroups: gpu.grid(Math.ceil(size / 256)),
  });
}
