import { type Backend, type BlockConfig, type BlockWeights, createBlock, type Tensor } from '@mamba/core';
import { Random } from '../random.ts';
import { type Case, type Inputs, type Named, type Outputs, type Tolerance, uploadInputs } from './case.ts';
import { normals, resetMarks } from './host.ts';
import { seededParameter } from './weights.ts';

export interface BlockCaseOptions {
  readonly config: BlockConfig;
  readonly batch: number;
  readonly length: number;
  /** in_proj and out_proj have biases. Default false. */
  readonly projectionBias?: boolean | undefined;
  /** Default true. */
  readonly convBias?: boolean | undefined;
  /** Continue from a state. Default false. */
  readonly initialState?: boolean | undefined;
  readonly resets?: boolean | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
}

/** A block with seeded weights; results are y and the two parts of its state. */
export function blockCase(options: BlockCaseOptions): Case {
  const { config, batch, length, initialState = false, resets = false, seed = 1 } = options;
  return {
    id: `block/${options.id ?? `b${batch}-l${length}-d${config.dModel}`}`,
    operation: 'block',
    seed,
    sizes: { ...config, mixerNormEps: config.mixerNormEps ?? 'none', batch, length, initialState, resets },
    tolerance: BLOCK,
    optional: false,
    supports: () => ({ supported: true }),
    async prepare(backend) {
      const weights = uploadBlock(backend, options);
      const tensors = uploadInputs(backend, blockInputs(options));
      const block = createBlock(backend, config, weights);
      return {
        run() {
          const { x, conv, ssm, resets: marks } = tensors;
          const state = conv && ssm && { conv, ssm };
          const result = block.forward(x!, { state, resets: marks });
          return { y: result.y, conv: result.state.conv, ssm: result.state.ssm } satisfies Outputs;
        },
        dispose() {
          for (const tensor of [...Object.values(weights), ...Object.values(tensors)]) tensor?.dispose();
        },
      };
    },
  };
}

export const BLOCK: Tolerance = {
  relative: 2e-5,
  reason: 'four matrix products, a convolution and a scan in a row, each with float32 rounding',
};

/** A block's seeded weights, on the backend; the caller disposes them. */
export function uploadBlock(backend: Backend, options: BlockCaseOptions): BlockWeights<Tensor> {
  return uploadInputs(backend, blockWeights(options)) as Named<Tensor> as unknown as BlockWeights<Tensor>;
}

function blockWeights({ config, projectionBias = false, convBias = true, seed = 1 }: BlockCaseOptions): Inputs {
  const { dModel, dInner, dState, dConv, dtRank } = config;
  const shapes = {
    inProj: [2 * dInner, dModel],
    ...(projectionBias && { inProjBias: [2 * dInner] }),
    conv: [dInner, dConv],
    ...(convBias && { convBias: [dInner] }),
    xProj: [dtRank + 2 * dState, dInner],
    dtProj: [dInner, dtRank],
    dtBias: [dInner],
    A: [dInner, dState],
    D: [dInner],
    outProj: [dModel, dInner],
    ...(projectionBias && { outProjBias: [dModel] }),
  };
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const key = `block.${name as keyof BlockWeights<unknown>}` as const;
      const host = seededParameter({ ...config, layers: 1 }, { name, key, shape }, seed);
      const matrix = ['inProj', 'xProj', 'dtProj', 'outProj'].includes(name);
      return [name, { host, role: matrix ? ('matrix' as const) : undefined }];
    }),
  );
}

function blockInputs({ config, batch, length, initialState, resets, seed = 1 }: BlockCaseOptions): Inputs {
  const { dModel, dInner, dState, dConv } = config;
  const random = new Random(seed);
  return {
    x: { host: normals(random, [batch, length, dModel]) },
    ...(initialState && {
      conv: { host: normals(random, [batch, dInner, dConv - 1]) },
      ssm: { host: normals(random, [batch, dInner, dState], 0.1) },
    }),
    ...(resets && { resets: { host: resetMarks(random, batch, length) } }),
  };
}
