/**
 * Steps that are captured once for each shape of batches and replayed from then on: the host's part of a step is then
 * the sending of what was prepared.
 */
import { type Backend, type Capture, type CaptureFunction, isMambaError, type Tensor } from '@mamba/core';
import type { TrainingBatch } from '../data/batches.ts';
import type { PreparedBatch } from '../model/prepared-batch.ts';
import type { TrainableModel } from '../model/trainable.ts';
import type { CapturedUpdate, Optimiser } from '../optimiser/optimiser.ts';
import { type Accumulated, type AccumulateOptions, addUp, lossesOf, prepareBatches, type Sums } from './accumulate.ts';

/** The gradients of a step, and its update by them. */
export interface Step extends Accumulated {
  /** Returns the norm of the gradients. */
  update(learningRate: number): Tensor;
}

/** Shapes whose captures live at a time. */
const MOST = 8;
/** Bytes of all captures beyond which only the one that runs is kept. */
const BYTES = 2 ** 30;
/** Shapes of batches that are remembered. */
const SHAPES = 256;
/** Times that the capture of a shape may give way to others before its steps are no longer captured. */
const DROPS = 2;

interface Captured {
  readonly gradients: Capture<Sums>;
  update: CapturedUpdate | undefined;
}

/** Captures hold what lies between the operations of a step as well, so their number and their bytes are limited. */
export class CapturedSteps {
  readonly #model: TrainableModel;
  readonly #optimiser: Optimiser;
  readonly #options: Pick<AccumulateOptions, 'labelSmoothing' | 'checkpointing'>;
  /** By shape, the last used last. */
  readonly #captured = new Map<string, Captured>();
  /** How often the capture of each shape that was met gave way to others; Infinity where it is not possible. */
  readonly #drops = new Map<string, number>();

  constructor(
    model: TrainableModel,
    optimiser: Optimiser,
    options: Pick<AccumulateOptions, 'labelSmoothing' | 'checkpointing'>,
  ) {
    this.#model = model;
    this.#optimiser = optimiser;
    this.#options = options;
  }

  /** Bytes of all captures. */
  get bytes(): number {
    let bytes = 0;
    for (const { gradients, update } of this.#captured.values()) bytes += gradients.bytes + (update?.bytes ?? 0);
    return bytes;
  }

  /**
   * Starts a step of batches that begin with a zero state. Its results keep their values until the next one starts.
   * @returns Undefined where the step has to be computed call by call: the backend captures nothing, the shape of these
   * batches is met for the first time, or there are too many shapes.
   * @throws MambaError `invalid-argument` where a batch does not fit the model, and any error of the backend.
   */
  start(batches: readonly TrainingBatch[]): Step | undefined {
    const { backend } = this.#model;
    if (backend.capture === undefined || batches.some(({ continues }) => continues)) return undefined;
    const shape = batches.map(({ batch, length, resets }) => `${batch}x${length}${resets ? ' resets' : ''}`).join();
    const known = this.#captured.get(shape);
    const live = known !== undefined && isUsable(known);
    if (!live) this.#drop(shape);
    if (!live && !this.#admits(shape)) return undefined;
    const prepared = prepareBatches(this.#model, batches);
    const captured = live ? known : this.#capture(backend as Capturing, shape, prepared);
    if (captured === undefined) return undefined;
    this.#captured.delete(shape);
    this.#captured.set(shape, captured);
    const { losses, gradients } = captured.gradients.replay(prepared.flatMap(({ hosts }) => hosts));
    return {
      losses: lossesOf(this.#model, prepared, losses),
      gradients,
      state: undefined,
      update: (learningRate) => {
        captured.update ??= this.#optimiser.capture(gradients);
        return captured.update.update(learningRate);
      },
    };
  }

  /** Frees captures that hold much memory, for what runs between the steps. */
  trim(): void {
    for (const shape of this.#captured.keys()) if (this.bytes > BYTES) this.#drop(shape);
  }

  dispose(): void {
    for (const shape of this.#captured.keys()) this.#drop(shape);
  }

  /** Makes room for a step of a shape that is not captured. Returns whether to capture it. */
  #admits(shape: string): boolean {
    for (const other of this.#captured.keys()) {
      if (this.#captured.size < MOST && this.bytes <= BYTES) break;
      this.#drop(other);
      this.#drops.set(other, (this.#drops.get(other) ?? 0) + 1);
    }
    const drops = this.#drops.get(shape);
    if (drops !== undefined) return drops < DROPS;
    if (this.#drops.size >= SHAPES) this.#drops.clear();
    this.#drops.set(shape, 0);
    return false;
  }

  #capture(backend: Capturing, shape: string, prepared: readonly PreparedBatch[]): Captured | undefined {
    const specs = prepared.flatMap((batch) => batch.specs);
    const starts = prepared.map((_, index) =>
      prepared.slice(0, index).reduce((sum, batch) => sum + batch.specs.length, 0),
    );
    try {
      const gradients = backend.capture(specs, (inputs) =>
        addUp(this.#model, prepared, {
          ...this.#options,
          carries: false,
          continues: () => false,
          inputs: (index, run) => run(inputs.slice(starts[index], starts[index]! + prepared[index]!.specs.length)),
        }),
      );
      return { gradients, update: undefined };
    } catch (error) {
      if (!isMambaError(error, 'unsupported')) throw error;
      // A block may do what cannot be captured. The plain step tells what it cannot do at all.
      this.#drops.set(shape, Number.POSITIVE_INFINITY);
      return undefined;
    }
  }

  #drop(shape: string): void {
    const captured = this.#captured.get(shape);
    this.#captured.delete(shape);
    captured?.update?.dispose();
    captured?.gradients.dispose();
  }
}

type Capturing = Backend & { readonly capture: CaptureFunction };

function isUsable({ gradients, update }: Captured): boolean {
  return gradients.usable && (update === undefined || update.usable);
}
