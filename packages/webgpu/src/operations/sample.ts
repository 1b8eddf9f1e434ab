import type { DeviceTensor, SampleCall } from '@mamba/core/driver';
import { sample as shader } from '../generated/index.ts';
import { type Gpu, rowWorkgroup, wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import { type Choice, largest } from './argmax.ts';

export function sample(gpu: Gpu, call: SampleCall<DeviceTensor<Storage>>): Storage {
  const { logits, uniform, rows, vocab, checked = false } = call;
  return gpu.allocating((allocator) => {
    const ids = allocator.result(4 * rows, 'sample');
    draw(
      gpu,
      { logits: rangeOf(logits), rows, vocab, ids: wholeRange(ids), idRow: 1, idOffset: 0, checked },
      { ...call, uniform: rangeOf(uniform), uniformRow: 1, uniformOffset: 0 },
    );
    return unsplitStorage(ids, 'int32');
  });
}

export interface Sampling {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly uniform: BufferRange;
  /** Elements from one row's random number to the next; `uniformOffset` is the place of the first one. */
  readonly uniformRow: number;
  readonly uniformOffset: number;
}

export function draw(gpu: Gpu, choice: Choice, sampling: Sampling): void {
  const { temperature, topK, topP, minP, uniform, uniformRow, uniformOffset } = sampling;
  // A temperature whose inverse overflows means argmax as well.
  if (!Number.isFinite(Math.fround(1 / temperature))) {
    largest(gpu, choice);
    return;
  }
  const { logits, rows, vocab, ids, idRow, idOffset, checked, fed } = choice;
  gpu.dispatch(shader, {
    overrides: {
      WORKGROUP: rowWorkgroup(gpu, vocab, mostLanes(gpu)),
      TOP_K: topK < vocab,
      TOP_P: topP < 1,
      FEED: fed !== undefined,
      CHECKED: checked,
    },
    bindings: { logits, random: uniform, ids, fed: fed ?? gpu.unusedOutput },
    uniforms: {
      rows,
      vocab,
      uniformRow,
      uniformOffset,
      idRow,
      idOffset,
      topK: Math.min(topK, vocab),
      inverseTemperature: 1 / temperature,
      topP,
      minP,
    },
    workgroups: gpu.grid(rows),
  });
}

/** Bytes of workgroup memory that lib/sample-bins.wgsl and sample.wgsl take for each lane, and for all together. */
const LANE_BYTES = 36;
const SHARED_BYTES = 64;

function mostLanes({ limits }: Gpu): number {
  let lanes = 1024;
  while (LANE_BYTES * lanes + SHARED_BYTES > limits.maxComputeWorkgroupStorageSize) lanes /= 2;
  return lanes;
}
