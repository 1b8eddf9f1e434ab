import { type BufferSize, type Buffers, shareBuffers } from '../blocks/buffers.ts';
import type { FusedBlock } from '../blocks/fused-block.ts';
import type { SlotBuffers } from '../blocks/slots.ts';
import type { PooledBuffer } from '../gpu/buffer-pool.ts';
import { type Captured, type Gpu, whole } from '../gpu/gpu.ts';
import type { Plan } from '../gpu/recorder.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { sameMemory } from './state.ts';

/** The memory that every step of some rows shares: its ids, logits and activations. */
export interface Port {
  /** `[2, rows]`: the ids to feed, and how many were chosen so far; see argmax.wgsl. */
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
  /** Dispatches the kernels of a step. */
  readonly dispatch: (call: StepCall) => void;
}

/** Rows that have memory from the beginning, so that the first step allocates nothing. */
const FEW = 8;
/** Number of states whose prepared step is kept, for generations that take turns. */
const PLANS = 16;

interface Prepared extends Captured {
  readonly state: readonly SlotBuffers[];
  readonly rows: number;
}

/**
 * Steps of one token a row. A step is prepared once for a state's memory and recorded for every token, since nothing in
 * it depends on the position. The activations are the stepper's own and stay.
 */
export class Stepper {
  readonly #gpu: Gpu;
  readonly #options: StepperOptions;
  /** The prepared steps, the latest used first. */
  #plans: readonly Prepared[] = [];
  #memory: readonly PooledBuffer[] = [];
  #port: Port | undefined;
  #rows = 0;

  constructor(gpu: Gpu, options: StepperOptions) {
    this.#gpu = gpu;
    this.#options = options;
    this.port(FEW);
  }

  /** Returns the memory for steps of `rows` rows. It stays the same until more rows are asked for. */
  port(rows: number): Port {
    if (this.#port !== undefined && rows <= this.#rows) return this.#port;
    // The plans use the smaller memory, so they go with it.
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

  /** Returns the step of this state, or of an earlier state in the same memory. */
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

  /** Compiles the pipelines of steps. */
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
