import type { ArgmaxCall, DeviceTensor } from '@mamba/core/driver';
import { argmax as shader } from '../generated/index.ts';
import { type Gpu, rowWorkgroup, whole } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { plainStorage, rangeOf, type Storage } from '../storage.ts';

export function argmax(gpu: Gpu, { logits, rows, vocab, checked = false }: ArgmaxCall<DeviceTensor<Storage>>): Storage {
  return gpu.allocating((allocator) => {
    const ids = allocator.result(4 * rows, 'argmax');
    largest(gpu, { logits: rangeOf(logits), rows, vocab, ids: whole(ids), idRow: 1, idOffset: 0, checked });
    return plainStorage(ids, 'int32');
  });
}

/** Rows of logits, and where their ids go: element `idOffset + row · idRow`. */
export interface Choice {
  readonly logits: BufferRange;
  readonly rows: number;
  readonly vocab: number;
  readonly ids: BufferRange;
  readonly idRow: number;
  readonly idOffset: number;
  /** Give -1 for a row that no token follows from; see core's argmax. */
  readonly checked: boolean;
  /**
   * In a generation, ids chosen last and how many were chosen, `[2, rows]`: the choice goes behind those, and is left
   * here.
   */
  readonly fed?: BufferRange | undefined;
}

/**
 * Logits of a part, and from how many of them on a row is cut into parts: one workgroup alone is slow to read a long
 * row.
 */
const SPAN = 2048;

export function largest(gpu: Gpu, { logits, rows, vocab, ids, idRow, idOffset, checked, fed }: Choice): void {
  const parts = Math.ceil(vocab / SPAN);
  const chosen = { ids, fed: fed ?? gpu.nowhere };
  if (parts === 1) {
    gpu.dispatch(shader, {
      overrides: { WORKGROUP: rowWorkgroup(gpu, vocab), FEED: fed !== undefined, CHECKED: checked },
      bindings: { logits, candidates: gpu.nothing, ...chosen },
      uniforms: { rows, vocab, span: vocab, parts, idRow, idOffset },
      workgroups: gpu.grid(rows),
    });
    return;
  }
  gpu.allocating((allocator) => {
    const candidates = whole(allocator.scratch(4 * rows * parts, 'argmax candidates'));
    gpu.dispatch(shader, {
      overrides: { WORKGROUP: rowWorkgroup(gpu, SPAN), CHECKED: checked },
      bindings: { logits, candidates: gpu.nothing, ids: candidates, fed: gpu.nowhere },
      uniforms: { rows, vocab, span: SPAN, parts, idRow: 1, idOffset: 0 },
      workgroups: gpu.grid(rows * parts),
    });
    gpu.dispatch(shader, {
      overrides: { WORKGROUP: rowWorkgroup(gpu, parts), FEED: fed !== undefined, CANDIDATES: true, CHECKED: checked },
      bindings: { logits, candidates, ...chosen },
      uniforms: { rows, vocab, span: vocab, parts, idRow, idOffset },
      workgroups: gpu.grid(rows),
    });
  });
}
