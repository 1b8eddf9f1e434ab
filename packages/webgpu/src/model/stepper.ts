import type { ModelConfig } from '@mamba/core/driver';
import type { PooledBuffer } from '../gpu/buffer-pool.ts';
import { type Captured, type Gpu, whole } from '../gpu/gpu.ts';
import type { Plan } from '../gpu/recorder.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { projectedRow } from './prefill.ts';
import type { LayerState } from './state.ts';
import { type StepBuffers, uzBytes } from './step.ts';

/** Where every step of some rows reads its ids and leaves its logits. */
export interface Port {
  /** `[2, rows]`: ids, and how many were chosen so far; see argmax.wgsl. */
  readonly fed: BufferRange;
  /** `[rows, vocabSize]` */
  readonly logits: BufferRange;
  readonly buffers: StepBuffers;
}

/** Rows that there is room for from the beginning, so that the first step takes no memory. */
const FEW = 8;
/** States whose step is kept prepared: generations that take turns, a token each. */
const PLANS = 16;

interface Prepared extends Captured {
  readonly state: readonly LayerState[];
  readonly rows: number;
}

/**
 * Steps of one token a row, prepared once for a state's memory and recorded for every token: nothing in a step depends on the position.
 * The activations are the stepper's own and stay.
 */
export class Stepper {
  readonly #gpu: Gpu;
  readonly #config: ModelConfig;
  readonly #record: (port: Port, state: readonly LayerState[], rows: number) => void;
  /** The latest first. */
  #plans: readonly Prepared[] = [];
  #memory: readonly PooledBuffer[] = [];
  #port: Port | undefined;
  #rows = 0;

  constructor(gpu: Gpu, config: ModelConfig, record: (port: Port, state: readonly LayerState[], rows: number) => void) {
    this.#gpu = gpu;
    this.#config = config;
    this.#record = record;
    this.port(FEW);
  }

  /** Memory for steps of so many rows; the same until more are asked for. */
  port(rows: number): Port {
    if (this.#port !== undefined && rows <= this.#rows) return this.#port;
    // Plans hold the smaller one.
    this.dispose();
    return this.#gpu.allocating((allocator) => {
      const memory: PooledBuffer[] = [];
      this.#port = portOf(this.#gpu, this.#config, rows, (bytes, label) => {
        memory.push(allocator.result(bytes, label));
        return whole(memory.at(-1)!);
      });
      this.#memory = memory;
      this.#rows = rows;
      return this.#port;
    });
  }

  /** The step of this state, or of one that lay in the same memory before. */
  plan(state: readonly LayerState[], rows: number): Plan {
    const port = this.port(rows);
    const known = this.#plans.find((plan) => plan.rows === rows && sameMemory(plan.state, state));
    const prepared = known ?? { ...this.#gpu.capture(() => this.#record(port, state, rows)), state, rows };
    const plans = [prepared, ...this.#plans.filter((plan) => plan !== prepared)];
    for (const { forget } of plans.slice(PLANS)) forget();
    this.#plans = plans.slice(0, PLANS);
    return prepared.plan;
  }

  /** Compiles what steps take. */
  warm(state: readonly LayerState[]): void {
    const buffer = whole({ buffer: this.#gpu.nowhere.buffer, size: 16 });
    this.#record(
      portOf(this.#gpu, this.#config, 1, () => buffer),
      state,
      1,
    );
  }

  dispose(): void {
    for (const { forget } of this.#plans) forget();
    this.#plans = [];
    for (const buffer of this.#memory) this.#gpu.pool.give(buffer);
    this.#memory = [];
    this.#port = undefined;
    this.#rows = 0;
  }
}

function sameMemory(a: readonly LayerState[], b: readonly LayerState[]): boolean {
  return a.every(
    ({ conv, ssm }, layer) => conv.buffer === b[layer]!.conv.buffer && ssm.buffer === b[layer]!.ssm.buffer,
  );
}

function portOf(
  gpu: Gpu,
  config: ModelConfig,
  rows: number,
  memory: (bytes: number, label: string) => BufferRange,
): Port {
  const { dModel, dInner, vocabSize } = config;
  const floats = (elements: number, label: string): BufferRange => memory(4 * rows * elements, label);
  return {
    fed: floats(2, 'fed ids'),
    logits: floats(vocabSize, 'logits'),
    buffers: {
      residual: floats(dModel, 'residual'),
      uz: memory(uzBytes(gpu, config, rows), 'u, z, and parts of dt, B, C'),
      projected: floats(projectedRow(config), 'dt, B, C'),
      gated: floats(dInner, 'gated'),
    },
  };
}
