import { open, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { ModelConfig, ParameterSource } from '@mamba/core';
import type { Peer } from './contract.ts';
import { mambaOnnx } from './onnx/mamba.ts';

/** What is used of onnxruntime-node. */
interface OnnxRuntime {
  readonly InferenceSession: { create(file: string, options: object): Promise<Session> };
  readonly Tensor: new (type: string, data: Float32Array | BigInt64Array, dims: readonly number[]) => Value;
}
interface Value {
  readonly data: Float32Array;
}
interface Session {
  run(feeds: Readonly<Record<string, Value>>): Promise<Readonly<Record<string, Value>>>;
  release(): Promise<void>;
}

const PACKAGE = 'onnxruntime-node';

export const onnxRuntime: Peer = {
  name: 'onnxruntime',
  description: 'ONNX Runtime, native (onnxruntime-node 1.30.0), the recurrence as a Scan of standard operators',
  packages: { [PACKAGE]: '1.30.0' },
  formats: ['F32'],
  async open({ folder, gguf, config, source, threads, prompt, decode }) {
    const require = createRequire(join(folder, 'package.json'));
    const { InferenceSession, Tensor } = require(PACKAGE) as OnnxRuntime;
    const file = `${gguf}.${threads}.onnx`;
    let session: Session;
    try {
      await writeModel(file, config, source);
      session = await InferenceSession.create(file, {
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        executionMode: 'sequential',
        graphOptimizationLevel: 'all',
        logSeverityLevel: 3,
      });
    } finally {
      await rm(file, { force: true });
    }
    const start = zeroStates(config, Tensor);
    const step = async (ids: readonly number[], states: Readonly<Record<string, Value>>) => {
      const tokens = new Tensor('int64', BigInt64Array.from(ids, BigInt), [ids.length]);
      const { logits, ...next } = await session.run({ ids: tokens, ...states });
      const renamed = Object.entries(next).map(([name, value]) => [name.replace('next.', ''), value] as const);
      return { logits: logits!.data, states: Object.fromEntries(renamed) };
    };
    return {
      how: `${threads} ${threads === 1 ? 'thread' : 'threads'}, all optimisations, the prompt at once, greedy from logits on the host, warmed up`,
      async logProbs(length) {
        const { logits } = await step(prompt.slice(0, length), start);
        const most = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
        const shift = most + Math.log(logits.reduce((sum, value) => sum + Math.exp(value - most), 0));
        return new Map(Array.from(logits, (value, token) => [token, value - shift]));
      },
      async prefill() {
        await step(prompt, start);
      },
      async decode() {
        let states = start;
        let token = prompt[0]!;
        for (let count = 0; count < decode; count++) {
          const result = await step([token], states);
          states = result.states;
          token = largest(result.logits);
        }
      },
      close: () => session.release(),
    };
  },
};

async function writeModel(file: string, config: ModelConfig, source: ParameterSource): Promise<void> {
  const pieces = await mambaOnnx(config, source);
  const handle = await open(file, 'w');
  try {
    for (const piece of pieces) await handle.write(piece);
  } finally {
    await handle.close();
  }
}

function zeroStates(
  { layers, dInner, dState, dConv }: ModelConfig,
  Tensor: OnnxRuntime['Tensor'],
): Readonly<Record<string, Value>> {
  const states: Record<string, Value> = {};
  for (let layer = 0; layer < layers; layer++) {
    states[`conv.${layer}`] = new Tensor('float32', new Float32Array(dInner * (dConv - 1)), [1, dInner, dConv - 1]);
    states[`ssm.${layer}`] = new Tensor('float32', new Float32Array(dInner * dState), [dInner, dState]);
  }
  return states;
}

function largest(values: Float32Array): number {
  let best = 0;
  for (let index = 1; index < values.length; index++) if (values[index]! > values[best]!) best = index;
  return best;
}
