import { type BufferSize, type Buffers, shareBuffers } from '../blocks/buffers.ts';
import type { FusedBlock } from '../blocks/fused-block.ts';
import type { SlotBuffers } from '../blocks/slots.ts';
import type { PooledBuffer } from '../gpu/buffer-pool.ts';
import { type Captured, type Gpu, whole } from '../gpu/gpu.ts';
import type { Plan } from '../gpu/recorder.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { sameMemory } from './state.ts';

/** Where every step of some rows reads its ids and leaves its logits. */
export interface Port {
  /** `[2, rows]`: ids, and how many were chosen so far; see argmax.wgsl. */
  readonly fed: BufferRange;
  /** `[rows, vocabSize]` */
  readonly logits: BufferRange;
  /** `[rows, dModel]` */
  readonly residual: BufferRange;
  /** Activations of each block. */
  readonly buffers: readonly Buffers[];
}

/** One step of one token a row. */
export interface StepCall {
  readonly port: Port;
  readonly state: readonly SlotBuffers[];
  readonly rows: number;
}

export interface StepperOptions {
  readonly dModel: number;
  readonly vocabSize: number;
  readonly blocks: readonly FusedBlock[];
  /** Dispatches a step. */
  readonly dispatch: (call: StepCall) => void;
}

/** Rows that there is room for from the beginning, so that the first step takes no memory. */
const FEW = 8;
/** States whose step is kept prepared: generations that take turns, a token each. */
const PLANS = 16;

interface Prepared extends Captured {
  readonly state: readonly SlotBuffers[];
  readonly rows: number;
}

/**
 * Steps of one token a row, prepared once for a state's memory and recorded for every token: nothing in a step depends
 * on the position. The activations are the stepper's own and stay.
 */
export class Stepper {
  readonly #gpu: Gpu;
  readonly #options: StepperOptions;
  /** The latest first. */
  #plans: readonly Prepared[] = [];
  #memory: readonly PooledBuffer[] = [];
  #port: Port | undefined;
  #rows = 0;

  constructor(gpu: Gpu, options: StepperOptions) {
    this.#gpu = gpu;
    this.#options = options;
    this.port(FEW);
  }

  /** Memory for steps of so many rows; the same until more are asked for. */
  port(rows: number): Port {
    if (this.#port !== undefined && rows <= this.#rows) return this.#port;
    // Plans hold the smaller one.
    this.dispose();
    return this.#gpu.allocating((allocator) => {
      const memory: PooledBuffer[] = [];
      this.#port = portOf(this.#options, rows, ({ bytes, label }) => {
        memory.push(allocator.result(bytes, label));
        return memory.at(-1)!;
      });
      this.#memory = memory;
      this.#rows = rows;
      return this.#port;
    });
  }

  /** The step of this state, or of one that lay in the same memory before. */
  plan(state: readonly SlotBuffers[], rows: number): Plan {
    const port = this.port(rows);
    const known = this.#plans.find((plan) => plan.rows === rows && sameMemory(plan.state, state));
    const prepared = known ?? {
      ...this.#gpu.capture(() => this.#options.dispatch({ port, state, rows })),
      state,
      rows,
    };
    const plans = [prepared, ...this.#plans.filter((plan) => plan !== prepared)];
    for (const { forget } of plans.slice(PLANS)) forget();
    this.#plans = plans.slice(0, PLANS);
    return prepared.plan;
  }

  /** Compiles what steps take. */
  warm(state: readonly SlotBuffers[]): void {
    const { buffer } = this.#gpu.nowhere;
    const port = portOf(this.#options, 1, ({ bytes }) => ({ buffer, size: bytes }));
    this.#options.dispatch({ port, state, rows: 1 });
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

function portOf(
  { dModel, vocabSize, blocks }: StepperOptions,
  rows: number,
  allocate: (size: BufferSize) => PooledBuffer,
): Port {
  const floats = (elements: number, label: string): BufferRange =>
    whole(allocate({ bytes: 4 * rows * elements, label }));
  return {
    fed: floats(2, 'fed ids'),
    logits: floats(vocabSize, 'logits'),
    residual: floats(dModel, 'residual'),
    buffers: shareBuffers(
      blocks.map((block) => block.stepBuffers(rows)),
      allocate,
    ),
  };
}
