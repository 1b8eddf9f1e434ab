/** A system on a backend: its whole forward pass, one step after a sequence, and a step of training. */
import {
  type Backend,
  type Block,
  type BlockState,
  type BlockWeights,
  createBlock,
  type HostTensor,
  modelConfig,
  modelParameters,
  type Tensor,
} from '@mamba/core';
import { composedBlock } from '@mamba/core/driver';
import { disposeAll, scoped } from '@mamba/core/toolkit';
import { initialParameters, Optimiser, Random, Tape, type TrainedParameter } from '@mamba/train';
import type { SizedSystem } from './systems.ts';

const SEED = 18;
/** So small that the weights stay what they were, however often a step of training is repeated. */
const LEARNING_RATE = 1e-7;
/** Tokens that differ; longer inputs repeat them, since no system's time depends on values. */
const DISTINCT = 1024;

/** A block's parameters on the host, as a new model begins with them. */
export interface HostParameter {
  readonly key: string;
  readonly role: 'matrix' | 'vector';
  readonly host: HostTensor;
}

export async function hostParameters({ block }: SizedSystem, dModel: number): Promise<readonly HostParameter[]> {
  const config = modelConfig({ dModel, vocabSize: 2, blocks: [block] });
  const source = initialParameters(config, { seed: SEED });
  const specs = modelParameters(config).filter(({ key }) => key.startsWith('block.'));
  return Promise.all(
    specs.map(async (spec) => ({
      key: spec.key.slice('block.'.length),
      role: spec.role,
      host: await source(spec),
    })),
  );
}

/** x `[batch, length, dModel]` on the host. */
export function hostInput(batch: number, length: number, dModel: number): HostTensor {
  const random = new Random(SEED);
  const size = batch * length * dModel;
  const data = new Float32Array(size);
  const distinct = Math.min(size, DISTINCT * dModel);
  for (let index = 0; index < distinct; index++) data[index] = random.normal();
  for (let filled = distinct; filled < size; filled *= 2) data.copyWithin(filled, 0, Math.min(filled, size - filled));
  return { dtype: 'float32', shape: [batch, length, dModel], data };
}

/** The block of a system. The caller disposes it. */
export class Subject {
  readonly block: Block;
  readonly #weights: BlockWeights<Tensor>;

  constructor(backend: Backend, { block }: SizedSystem, dModel: number, parameters: readonly HostParameter[]) {
    this.#weights = uploadAll(backend, parameters, true);
    this.block = createBlock(backend, { ...block, dModel }, this.#weights);
  }

  /** One pass over a whole sequence. Nothing of it is kept. */
  forward(x: Tensor): void {
    const { y, state } = this.block.forward(x);
    disposeAll([y, ...Object.values(state)]);
  }

  /** One token after a sequence of so many. Nothing of it is kept. */
  step(x: Tensor, state: BlockState, length: number): void {
    const after = this.block.forward(x, { state, positions: new Array<number>(x.shape[0]!).fill(length) });
    disposeAll([after.y, ...Object.values(after.state)]);
  }

  dispose(): void {
    this.block.dispose();
    disposeAll(Object.values(this.#weights));
  }
}

/** The training of a system's block by itself: forward, backward, clipping and AdamW. The caller disposes it. */
export class TrainedSubject {
  readonly #backend: Backend;
  readonly #system: SizedSystem;
  readonly #weights: BlockWeights<Tensor>;
  readonly #optimiser: Optimiser;

  constructor(backend: Backend, system: SizedSystem, parameters: readonly HostParameter[]) {
    this.#backend = backend;
    this.#system = system;
    this.#weights = uploadAll(backend, parameters, false);
    this.#optimiser = new Optimiser(
      backend,
      parameters.map(
        ({ key, role, host }): TrainedParameter => ({
          name: key,
          layer: 0,
          kind: system.block.kind,
          key: `block.${key}`,
          shape: host.shape,
          role,
          tensor: this.#weights[key]!,
          trained: true,
          decay: false,
          derived: false,
        }),
      ),
    );
  }

  /** One step, where dy is the gradient of the output. Nothing of it is kept. */
  step(x: Tensor, dy: Tensor): void {
    const { y, gradients } = this.gradients(x, dy);
    try {
      this.#optimiser.update(gradients, LEARNING_RATE).dispose();
    } finally {
      disposeAll([y, ...gradients.values()]);
    }
  }

  /** The output and the gradients of all parameters, which the caller disposes. */
  gradients(x: Tensor, dy: Tensor): { readonly y: Tensor; readonly gradients: ReadonlyMap<string, Tensor> } {
    const weights = this.#weights;
    return scoped((scope) => {
      const tape = scope.own(new Tape(this.#backend, Object.values(weights) as Tensor[]));
      const [batch, length] = x.shape as [number, number];
      const kernel = composedBlock(tape.backend, this.#system.block, weights);
      const positions = new Array<number>(batch).fill(0);
      const result = kernel.forward({ x, state: undefined, positions, resets: undefined, batch, length });
      for (const tensor of Object.values(result.state)) scope.own(tensor);
      const y = scope.own(result.y);
      const found = tape.backward([[y, dy]]);
      const named = Object.entries(weights).flatMap(([key, weight]): [string, Tensor][] => {
        const gradient = found.get(weight!);
        return gradient === undefined ? [] : [[key, gradient]];
      });
      scope.release(y);
      return { y: tape.take(y), gradients: new Map(named) };
    });
  }

  dispose(): void {
    this.#optimiser.dispose();
    disposeAll(Object.values(this.#weights));
  }
}

/** @param packed Whether matrices are stored as the backend's products like them, which training does not. */
function uploadAll(
  backend: Backend,
  parameters: readonly HostParameter[],
  packed: boolean,
): Readonly<Record<string, Tensor>> {
  const uploaded: Record<string, Tensor> = {};
  try {
    for (const { key, role, host } of parameters)
      uploaded[key] = backend.upload(host, packed && role === 'matrix' ? { role } : {});
    return uploaded;
  } catch (error) {
    disposeAll(Object.values(uploaded));
    throw error;
  }
}
