/**
 * The case of our backends in the peers' stage: the same seeded weights in the same format, prefill and greedy decode,
 * and log-probabilities to check.
 */
import { seededWeights } from '@mamba/conformance';
import { type Backend, createModel, type DType, type HostArray, type Model, type ModelConfig } from '@mamba/core';
import type { BenchCase } from '../cases/contract.ts';
import type { Format } from './contract.ts';

export interface OwnCaseOptions {
  readonly config: ModelConfig;
  readonly format: Format;
  /** Tokens of the prompt. */
  readonly tokens: readonly number[];
  /** Tokens of a decode. */
  readonly decode: number;
}

/** The dtype of each format. */
export const PEER_DTYPES: Readonly<Record<Format, DType>> = { F32: 'float32', F16: 'float16', Q8_0: 'q8' };
/** Tokens after which the log-probabilities are compared. */
export const CHECKED = 9;
export const SEED = 130;

/**
 * A case with the measurements `prefill` and `decode`; `actual` gives the `logProbs` of all tokens. The stage
 * describes, checks and counts them.
 */
export function ownCase({ config, format, tokens, decode }: OwnCaseOptions): BenchCase {
  const logProbs = async (backend: Backend, model: Model) => ({
    logProbs: await modelLogProbs(backend, model, tokens),
  });
  return {
    suite: 'peers',
    id: `peers, ${format}`,
    measurements: [],
    weights: PEER_DTYPES[format],
    tolerance: 0,
    checked: '',
    checkOperations: 0,
    async expected(reference, pause) {
      const source = seededWeights(config, SEED);
      const model = await createModel(reference, config, async (parameter) => {
        await pause();
        return source(parameter);
      });
      return logProbs(reference, model);
    },
    async prepare(backend) {
      const weights = format === 'F32' ? undefined : PEER_DTYPES[format];
      const model = await createModel(backend, config, seededWeights(config, SEED), { weights });
      const ids = Int32Array.from(tokens);
      return {
        actual: () => logProbs(backend, model),
        measured: {
          prefill: {
            run() {
              const { logits, state } = model.forward([ids]);
              logits?.dispose();
              state.dispose();
            },
          },
          decode: {
            run() {
              const result = model.decode([ids.subarray(0, 1)], undefined, { count: decode });
              result.ids.dispose();
              result.state.dispose();
            },
          },
        },
        dispose: () => model.dispose(),
      };
    },
  };
}

async function modelLogProbs(backend: Backend, model: Model, tokens: readonly number[]): Promise<Float64Array> {
  const { logits, state } = model.forward([tokens.slice(0, CHECKED)]);
  const values = await backend.read(logits!);
  logits!.dispose();
  state.dispose();
  return logSoftmax(values);
}

function logSoftmax(values: HostArray): Float64Array {
  let most = Number.NEGATIVE_INFINITY;
  for (const value of values) most = Math.max(most, value);
  let sum = 0;
  for (const value of values) sum += Math.exp(value - most);
  const shift = most + Math.log(sum);
  return Float64Array.from(values, (value) => value - shift);
}
