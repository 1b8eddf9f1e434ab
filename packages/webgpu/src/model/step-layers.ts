/** The way of a step through the layers, from the ids that are fed to the logits. */
import type { NormsOfStep } from '../blocks/fused-block.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { type Ends, embed, writeLogits } from './ends.ts';
import type { StepMemory } from './stepper.ts';

export interface StepLayer {
  /** The weight of the norm that it applies to the residual. */
  readonly norm: BufferRange;
  /** Adds its output to the residual. Returns whether it wrote the rows of `norms.next` as well. */
  step(norms: NormsOfStep): boolean;
}

/** Dispatches all layers and the head. Each layer is offered the norm of what follows, the last one the final norm. */
export function stepLayers(
  ends: Ends,
  { fed, residual, normed, logits }: StepMemory,
  rows: number,
  layers: readonly StepLayer[],
): void {
  embed(ends, fed, rows, residual);
  let given: BufferRange | undefined;
  for (const [index, layer] of layers.entries()) {
    const weight = layers[index + 1]?.norm ?? ends.finalNorm;
    const next = { weight, eps: ends.config.normEps, y: normed };
    given = layer.step({ normed: given, next }) ? normed : undefined;
  }
  writeLogits(ends, { x: given ?? residual, normed: given !== undefined, stride: 1, rows, y: logits });
}
