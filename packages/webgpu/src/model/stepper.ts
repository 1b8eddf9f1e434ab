import { type BufferSize, type Buffers, shareBuffers } from '../blocks/buffers.ts';
import type { FusedBlock } from '../blocks/fused-block.ts';
import type { PooledBuffer } from '../gpu/buffer-pool.ts';
import { type Captured, type Gpu, wholeRange } from '../gpu/gpu.ts';
import type { Plan } from '../gpu/recorder.ts';
import { ALIGNMENT, type BufferRange } from '../gpu/shader.ts';

/** The memory that every step of some rows shares: its ids, logits and activations. */
export interface StepMemory {
  /** `[2, rows]`: the ids to feed, and how many were chosen so far; see argmax.wgsl. */
  readonly fed: BufferRange;
  /** `[rows, vocabSize]` */
  readonly logits: BufferRange;
  /** `[rows, dModel]` */
  readonly residual: BufferRange;
  /**
   * `[parallel, rows, dModel]`: the residual after the norms of the next layers, where these are written; see
   * `normedBytes`.
   */
  readonly normed: BufferRange;
  /** Activations of each block. */
  readonly buffers: readonly Buffers[];
  /** Where the rows go on, for blocks whose state grows. */
  readonly places: BufferRange;
}

/** One step of one token a row. `State` is the memory of a state. */
export interface StepCall<State> {
  readonly memory: StepMemory;
  readonly state: State;
  readonly rows: number;
}

export interface StepperOptions<State> {
  readonly dModel: number;
  readonly vocabSize: number;
  /** Number of layers that read the same residual. Default 1. */
  readonly parallel?: number | undefined;
  /** The blocks that take their activations from the stepper. */
  readonly blocks: readonly Pick<FusedBlock, 'stepBuffers'>[];
  /** Bytes of places that steps of so many rows have. Default: none. */
  readonly placeBytes?: ((rows: number) => number) | undefined;
  /** Whether two states lie in the same memory, so that a step of one is a step of the other. */
  readonly same: (a: State, b: State) => boolean;
  /** Dispatches the kernels of a step. */
  readonly dispatch: (call: StepCall<State>) => void;
}

/** Rows that have memory from the beginning, so that the first step allocates nothing. */
const FEW = 8;
/** Number of states whose prepared step is kept, for generations that take turns. */
const PLANS = 16;

interface Prepared<State> extends Captured {
  readonly state: State;
  readonly rows: number;
}

/**
 * Steps of one token a row. A step is prepared once for a state's memory and recorded for every token, since nothing in
 * it depends on the position but what it reads on the device. The activations are the stepper's own and stay.
 */
export class Stepper<State> {
  readonly #gpu: Gpu;
  readonly #options: StepperOptions<State>;
  /** The prepared steps, the latest used first. */
  #plans: readonly Prepared<State>[] = [];
  #pooled: readonly PooledBuffer[] = [];
  #memory: StepMemory | undefined;
  #rows = 0;

  constructor(gpu: Gpu, options: StepperOptions<State>) {
    this.#gpu = gpu;
    this.#options = options;
    this.memory(FEW);
  }

  /** Returns the memory for steps of `rows` rows. It stays the same until more rows are asked for. */
  memory(rows: number): StepMemory {
    if (this.#memory !== undefined && rows <= this.#rows) return this.#memory;
    // The plans use the smaller memory, so they go with it.
    this.dispose();
    return this.#gpu.allocating((allocator) => {
      const pooled: PooledBuffer[] = [];
      this.#memory = stepMemory(this.#options, rows, ({ bytes, label }) => {
        pooled.push(allocator.result(bytes, label));
        return pooled.at(-1)!;
      });
      this.#pooled = pooled;
      this.#rows = rows;
      return this.#memory;
    });
  }

  /** Returns the step of this state, or of an earlier state in the same memory. */
  plan(state: State, rows: number): Plan {
    const memory = this.memory(rows);
    const known = this.#plans.find((plan) => plan.rows === rows && this.#options.same(plan.state, state));
    const prepared = known ?? {
      ...this.#gpu.capture(() => this.#options.dispatch({ memory, state, rows })),
      state,
      rows,
    };
    const plans = [prepared, ...this.#plans.filter((plan) => plan !== prepared)];
    for (const { forget } of plans.slice(PLANS)) forget();
    this.#plans = plans.slice(0, PLANS);
    return prepared.plan;
  }

  /** Compiles the pipelines of steps. */
  warm(state: State): void {
    const { buffer } = this.#gpu.unusedOutput;
    const memory = stepMemory(this.#options, 1, ({ bytes }) => ({ buffer, size: bytes }));
    this.#options.dispatch({ memory, state, rows: 1 });
  }

  dispose(): void {
    for (const { forget } of this.#plans) forget();
    this.#plans = [];
    for (const buffer of this.#pooled) this.#gpu.pool.give(buffer);
    this.#pooled = [];
    this.#memory = undefined;
    this.#rows = 0;
  }
}

/** Bytes from the rows of one norm to those of the next, in `StepMemory.normed`. */
export function normedBytes(rows: number, dModel: number): number {
  return Math.ceil((4 * rows * dModel) / ALIGNMENT) * ALIGNMENT;
}

function stepMemory(
  {
    dModel,
    vocabSize,
    parallel = 1,
    blocks,
    placeBytes,
  }: Pick<StepperOptions<never>, 'dModel' | 'vocabSize' | 'parallel' | 'blocks' | 'placeBytes'>,
  rows: number,
  allocate: (size: BufferSize) => PooledBuffer,
): StepMemory {
  const floats = (elements: number, label: string): BufferRange =>
    wholeRange(allocate({ bytes: 4 * rows * elements, label }));
  return {
    fed: floats(2, 'fed ids'),
    logits: floats(vocabSize, 'logits'),
    residual: floats(dModel, 'residual'),
    normed: wholeRange(allocate({ bytes: parallel * normedBytes(rows, dModel), label: 'normed' })),
    places: wholeRange(allocate({ bytes: placeBytes?.(rows) ?? 0, label: 'places' })),
    buffers: shareBuffers(
      blocks.map((block) => block.stepBuffers(rows)),
      allocate,
    ),
  };
}
