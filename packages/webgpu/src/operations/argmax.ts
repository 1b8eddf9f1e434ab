import type { ArgmaxCall, DeviceTensor } from '@mamba/core/driver';
import { argmax as shader } from '../generated/index.ts';
import { type Gpu, rowWorkgroup, wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';

export function argmax(gpu: Gpu, { logits, rows, vocab, checked = false }: ArgmaxCall<DeviceTensor<Storage>>): Storage {
  return gpu.allocating((allocator) => {
    const ids = allocator.result(4 * rows, 'argmax');
    largest(gpu, { logits: rangeOf(logits), rows, vocab, ids: wholeRange(ids), idRow: 1, idOffset: 0, checked });
    return unsplitStorage(ids, 'int32');
  });
}

/** Rows of logits, and the place of their ids: element `idOffset + row · idRow`. */
export interface Choice {
  readonly logits: BufferRange;
  readonly rows: number;
  readonly vocab: number;
  readonly ids: BufferRange;
  readonly idRow: number;
  readonly idOffset: number;
  /** Whether a row that decides no token gives -1; see core's argmax. */
  readonly checked: boolean;
  /**
   * In a generation, `[2, rows]`: the ids chosen last, and how many were chosen. The choice is written here, and behind
   * those chosen before.
   */
  readonly fed?: BufferRange | undefined;
}

/** Logits of a part. A longer row is cut into parts, since one workgroup alone is slow to read it. */
const SPAN = 2048;

export function largest(gpu: Gpu, { logits, rows, vocab, ids, idRow, idOffset, checked, fed }: Choice): void {
  const parts = Math.ceil(vocab / SPAN);
  const chosen = { ids, fed: fed ?? gpu.unusedOutput };
  if (parts === 1) {
    gpu.dispatch(shader, {
      overrides: { WORKGROUP: rowWorkgroup(gpu, vocab), FEED: fed !== undefined, CHECKED: checked },
      bindings: { logits, candidates: gpu.unusedInput, ...chosen },
      uniforms: { rows, vocab, span: vocab, parts, idRow, idOffset },
      workgroups: gpu.grid(rows),
    });
    return;
  }
  gpu.allocating((allocator) => {
    const candidates = wholeRange(allocator.scratch(4 * rows * parts, 'argmax candidates'));
    gpu.dispatch(shader, {
      overrides: { WORKGROUP: rowWorkgroup(gpu, SPAN), CHECKED: checked },
      bindings: { logits, candidates: gpu.unusedInput, ids: candidates, fed: gpu.unusedOutput },
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
