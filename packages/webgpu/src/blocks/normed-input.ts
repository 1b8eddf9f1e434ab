/** The input of the products that begin a block, after the model's norm. */
import type { BufferRange } from '../gpu/shader.ts';
import type { KernelContext } from '../operations/kernel-context.ts';
import { type InputNorm, type Projection, VECTOR_ROWS } from '../operations/linear.ts';
import { normalise } from '../operations/rms-norm.ts';
import type { RmsNorm } from './fused-block.ts';

/** Whether the norm takes a dispatch of its own: products of few rows normalise their input themselves. */
export function normsApart(norm: RmsNorm | undefined, rows: number): boolean {
  return norm !== undefined && rows > VECTOR_ROWS;
}

interface NormedInput {
  readonly x: BufferRange;
  readonly rows: number;
  readonly dModel: number;
  /** The normalised rows, where they are made already. */
  readonly given: BufferRange | undefined;
  /** Memory that takes the normalised rows, where `normsApart`. */
  readonly normed: BufferRange;
}

/** Returns what the products take as x, and the norm that they apply. */
export function normedInput(
  { gpu }: KernelContext,
  norm: InputNorm | undefined,
  { x, rows, dModel, given, normed }: NormedInput,
): Pick<Projection, 'x' | 'norm'> {
  if (given !== undefined) return { x: given };
  if (norm === undefined || rows <= VECTOR_ROWS) return { x, norm };
  const { weight, eps } = norm;
  normalise(gpu, { x, weight, y: normed, rows, channels: dModel, xRow: dModel, xOffset: 0, eps });
  return { x: normed };
}
