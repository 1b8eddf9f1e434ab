/**
 * One interface for everything that runs over a length with a state (scan, convolution, block, model), so that one set
 * of laws applies to all of them.
 */

import type { Backend, BlockState, Discretization, ModelConfig } from '@mamba/core';
import { createModel, type Model, type ModelState, type StateSlot, type Tensor } from '@mamba/core';
import { stateGrows } from '@mamba/core/toolkit';
import { kindSuites } from '../blocks/suites.ts';
import { kindSupport } from '../blocks/support.ts';
import { type BlockCaseOptions, blockSlots, openBlock, uploadBlock } from '../cases/block.ts';
import { uploadInputs } from '../cases/case.ts';
import { causalConv1dCase } from '../cases/causal-conv1d.ts';
import { integers, normals } from '../cases/host.ts';
import { selectiveScanCase } from '../cases/selective-scan.ts';
import { type SsdScanCaseOptions, ssdScanCase } from '../cases/ssd-scan.ts';
import { seededWeights } from '../cases/weights.ts';
import { Random } from '../random.ts';
import { FALCON_MODEL, MIXED_MODEL, SMALL_MODEL } from '../suite/shapes.ts';
import type { Arena } from './arena.ts';

/** Inputs `[batch, length, …]` of equal batch and length. */
export type Steps = readonly Tensor[];

export interface SequenceResult {
  readonly y: Tensor;
  readonly state: unknown;
}

export interface Sequence {
  readonly name: string;
  readonly batch: number;
  readonly length: number;
  /** Whether the state holds unchanged inputs, so that chunks must agree bit for bit. */
  readonly exactState: boolean;
  /** Optional. The reason why a backend cannot run it, where it need not. */
  refusal?(backend: Backend): string | undefined;
  /** Uploads the parameters and the whole input to a backend. */
  open(arena: Arena): Promise<OpenSequence>;
}

export interface OpenSequence {
  readonly inputs: Steps;
  /** Runs over a part of the input. The results belong to the arena. */
  run(inputs: Steps, state?: unknown, resets?: Tensor): SequenceResult;
  /** The values by which a state is compared: its tensors, or where they grow, how the sequence continues. */
  readState(state: unknown): Promise<readonly ArrayLike<number>[]>;
}

const BATCH = 3;
const LENGTH = 21;
/** Tokens by which states that grow are compared. */
const CONTINUED = 3;

const grows = ({ shape }: StateSlot): boolean => shape.includes('length');

export function sequences(): readonly Sequence[] {
  return [
    scan('selective-scan', {}),
    scan('selective-scan-groups', { groups: 2, dim: 6 }),
    scan('selective-scan-plain', { D: false, z: false, deltaBias: false, deltaSoftplus: false }),
    scan('selective-scan-constant', { B: 'constant', C: 'constant' }),
    scan('selective-scan-zoh', { discretization: 'zoh' }),
    scan('selective-scan-bilinear', { discretization: 'bilinear' }),
    ssd('ssd-scan', {}),
    ssd('ssd-scan-groups-flat', { groups: 2, flat: true }),
    ssd('ssd-scan-bare', { D: false, z: false, dtBias: false, dtSoftplus: false, dtLimits: [0.01, 0.2] }),
    convolution(2),
    convolution(4),
    convolution(7),
    ...kindSuites().flatMap((kind) =>
      Object.entries(kind.sequences ?? {}).map(([name, config]) => ({
        ...block(name, config),
        refusal(backend: Backend): string | undefined {
          const support = kindSupport(config.kind ?? 'mamba', backend);
          return support.supported ? undefined : support.reason;
        },
      })),
    ),
    model('model', SMALL_MODEL),
    model('model-falcon', FALCON_MODEL),
    model('model-mixed', MIXED_MODEL),
  ];
}

interface ScanOptions {
  readonly dim?: number;
  readonly groups?: number;
  readonly B?: 'constant';
  readonly C?: 'constant';
  readonly D?: boolean;
  readonly z?: boolean;
  readonly deltaBias?: boolean;
  readonly deltaSoftplus?: boolean;
  readonly discretization?: Discretization;
}

function scan(name: string, options: ScanOptions): Sequence {
  const { deltaSoftplus = true, discretization } = options;
  const item = selectiveScanCase({ batch: BATCH, length: LENGTH, dim: 5, state: 7, seed: 11, ...options });
  return {
    name,
    batch: BATCH,
    length: LENGTH,
    exactState: false,
    async open(arena) {
      const tensors = arena.all(uploadInputs(arena.backend, item.build()));
      const { u, delta, A, B, C, D, z, deltaBias } = tensors;
      const moving = { u: u!, delta: delta!, B: B!, C: C!, z };
      const names = (['u', 'delta', 'B', 'C', 'z'] as const).filter((key) => moving[key]?.shape[1] === LENGTH);
      return {
        inputs: names.map((key) => moving[key]!),
        run(inputs, initialState, resets) {
          const step = { ...moving, ...Object.fromEntries(names.map((key, index) => [key, inputs[index]!])) };
          const { y, lastState } = arena.all(
            arena.backend.selectiveScan(step.u, step.delta, A!, step.B, step.C, {
              D,
              z: step.z,
              deltaBias,
              deltaSoftplus,
              discretization,
              initialState: initialState as Tensor | undefined,
              resets,
            }),
          );
          return { y, state: lastState };
        },
        readState: async (state) => [await arena.read(state as Tensor)],
      };
    },
  };
}

function ssd(name: string, options: Partial<SsdScanCaseOptions>): Sequence {
  const { dtSoftplus = true, dtLimits, groups, flat } = options;
  const shape = { batch: BATCH, length: LENGTH, heads: 4, headDim: 5, state: 7 };
  const item = ssdScanCase({ ...shape, seed: 14, ...options });
  return {
    name,
    batch: BATCH,
    length: LENGTH,
    exactState: false,
    refusal(backend) {
      const support = item.supports(backend);
      return support.supported ? undefined : support.reason;
    },
    async open(arena) {
      const { x, dt, A, B, C, D, z, dtBias } = arena.all(uploadInputs(arena.backend, item.build()));
      return {
        inputs: z ? [x!, dt!, B!, C!, z] : [x!, dt!, B!, C!],
        run(inputs, initialState, resets) {
          const [ofX, ofDt, ofB, ofC, ofZ] = inputs as readonly [Tensor, Tensor, Tensor, Tensor, Tensor?];
          const { y, lastState } = arena.all(
            arena.backend.ssdScan(ofX, ofDt, A!, ofB, ofC, {
              ...{ D, z: ofZ, dtBias, dtSoftplus, dtLimits, resets, groups: flat ? groups : undefined },
              initialState: initialState as Tensor | undefined,
            }),
          );
          return { y, state: lastState };
        },
        readState: async (state) => [await arena.read(state as Tensor)],
      };
    },
  };
}

function convolution(width: number): Sequence {
  const item = causalConv1dCase({ batch: BATCH, length: LENGTH, dim: 5, width, seed: 12 });
  return {
    name: `causal-conv1d-width${width}`,
    batch: BATCH,
    length: LENGTH,
    exactState: true,
    async open(arena) {
      const { x, weight, bias } = arena.all(uploadInputs(arena.backend, item.build()));
      return {
        inputs: [x!],
        run([part], initialState, resets) {
          const { y, lastState } = arena.all(
            arena.backend.causalConv1d(part!, weight!, bias, {
              activation: 'silu',
              initialState: initialState as Tensor | undefined,
              resets,
            }),
          );
          return { y, state: lastState };
        },
        readState: async (state) => [await arena.read(state as Tensor)],
      };
    },
  };
}

interface BlockMemory {
  readonly state: BlockState;
  readonly positions: readonly number[];
}

export function block(name: string, config: BlockCaseOptions['config']): Sequence {
  return {
    name,
    batch: BATCH,
    length: LENGTH,
    exactState: false,
    async open(arena) {
      const weights = arena.all(uploadBlock(arena.backend, { config }));
      const made = arena.own(openBlock(arena.backend, config, weights));
      const x = arena.upload(normals(new Random(13), [BATCH, LENGTH, config.dModel]));
      return {
        inputs: [x],
        run([part], before, resets) {
          const { state, positions } = (before ?? {}) as Partial<BlockMemory>;
          const result = made.forward(part!, { state, positions, resets });
          arena.all(result.state);
          const [batch, length] = part!.shape as [number, number];
          const fed = positions ?? new Array<number>(batch).fill(0);
          const after: BlockMemory = { state: result.state, positions: fed.map((position) => position + length) };
          return { y: arena.own(result.y), state: after };
        },
        readState: async (memory) => {
          const { state, positions } = memory as BlockMemory;
          if (!blockSlots(config).some(grows))
            return Promise.all(Object.values(state).map((tensor) => arena.read(tensor)));
          // What a cache holds beside what it is worth differs, so the state is judged by how it continues.
          const next = made.forward(arena.slice(x, 1, 0, CONTINUED), { state, positions });
          arena.all(next.state);
          return [await arena.read(arena.own(next.y))];
        },
      };
    },
  };
}

export function model(name: string, config: ModelConfig): Sequence {
  return {
    name,
    batch: BATCH,
    length: LENGTH,
    exactState: false,
    async open(arena) {
      const made = await openModel(arena, config);
      return {
        inputs: [arena.upload(modelIds(config, BATCH, LENGTH))],
        run([ids], state, resets) {
          const result = made.forward(ids!, { state: state as ModelState | undefined, resets, logits: 'all' });
          arena.own(result.state);
          return { y: arena.own(result.logits!), state: result.state };
        },
        readState: async (state) => {
          if (stateGrows(config)) {
            const ids = arena.upload(modelIds(config, BATCH, CONTINUED, 16));
            const next = made.forward(ids, { state: state as ModelState, logits: 'all' });
            arena.own(next.state);
            return [await arena.read(arena.own(next.logits!))];
          }
          const { layers } = await made.exportState(state as ModelState);
          return layers.flatMap((layer) => Object.values(layer));
        },
      };
    },
  };
}

/** A small model with seeded weights, which the arena owns. */
export async function openModel(arena: Arena, config: ModelConfig, seed = 14): Promise<Model> {
  return arena.own(await createModel(arena.backend, config, seededWeights(config, seed)));
}

export function modelIds(config: ModelConfig, batch: number, length: number, seed = 15) {
  const random = new Random(seed);
  return integers([batch, length], () => random.integer(config.vocabSize));
}
