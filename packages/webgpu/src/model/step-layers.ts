/** The way of a step through the layers, from the embedded tokens to the logits. */
import type { NormsOfStep } from '../blocks/fused-block.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { centersInputs } from '../operations/linear.ts';
import { applyNorms, type NextNorms, type Norms } from '../operations/linear-normed.ts';
import { type Ends, writeLogits } from './ends.ts';
import { normedBytes, type StepMemory } from './stepper.ts';

/** Layers that read the same residual: one, or parallel blocks. */
export interface StepGroup {
  /** The norm of each layer. */
  readonly norms: Norms;
  /**
   * Outputs of the products that read the norm's rows, where these may apply a LayerNorm themselves; undefined where
   * they may not.
   */
  readonly outputs?: number | undefined;
  /** Each adds its output to the residual, and returns whether it wrote the rows of `norms.next` as well. */
  readonly steps: readonly ((norms: NormsOfStep) => boolean)[];
}

/**
 * Dispatches all layers and the head, once the residual is the embedded tokens. The last layer of a group is offered
 * the norms of what follows, and the last one of all the final norm. LayerNorms that no layer wrote or applies are a
 * dispatch.
 */
export function stepLayers(
  ends: Ends,
  { residual, normed, logits }: StepMemory,
  rows: number,
  groups: readonly StepGroup[],
): void {
  const { kernels, config, finalNorm } = ends;
  const { dModel: channels } = config;
  const size = normedBytes(rows, channels);
  const into = (norms: Norms): NextNorms => ({ ...norms, y: normed, apart: size / 4 });
  let written = false;
  const ready = (norms: Norms): boolean => {
    if (written || norms.kind === 'rms') return written;
    applyNorms(kernels.gpu, into(norms), { x: residual, rows, channels });
    return true;
  };
  for (const [index, { norms, outputs, steps }] of groups.entries()) {
    const layer = norms.kind === 'layer' && !written;
    const within = layer && outputs !== undefined && centersInputs({ rows, inputs: channels, outputs });
    const given = !within && ready(norms);
    const norm = within ? norms : undefined;
    const next = into(groups[index + 1]?.norms ?? finalNorm);
    for (const [branch, step] of steps.entries()) {
      const own: BufferRange = { ...normed, offset: normed.offset + branch * size, size };
      written = step({ normed: given ? own : undefined, norm, next: branch === steps.length - 1 ? next : undefined });
    }
  }
  const last = ready(finalNorm);
  writeLogits(ends, { x: last ? normed : residual, normed: last, stride: 1, rows, y: logits });
}
