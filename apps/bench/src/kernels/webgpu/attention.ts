/**
 * Attention on webgpu: whole sequences, steps against a cache and gradients, of heads of 64 channels. Each backend's
 * results are compared with the float64 reference first.
 */
import { attentionBackwardCase, attentionCase, type Case } from '@mamba/conformance';
import type { Backend } from '@mamba/core';
import { disposeAll } from '@mamba/core/toolkit';
import { type MatrixPrecision, webgpu } from '@mamba/webgpu';
import type { Heat } from './heater.ts';
import { tensor } from './operands.ts';
import { type Session, withDevice } from './session.ts';
import { deviceTime } from './timing.ts';
import { verify } from './verify.ts';

const HEAD_DIM = 64;
const HEADS = 16;
const LENGTHS = [512, 2048, 4096, 8192, 32768, 131072];
const STEPS = [512, 2048, 8192, 32768];
/** Beyond this length gradients take seconds. */
const LONGEST_BACKWARD = 8192;

export function attention(session: Session): Promise<void> {
  const { precisions, fail } = session;
  return withDevice(session, async (device, heat) => {
    for (const precision of precisions) {
      try {
        await measure(session, { device, heat, precision });
      } catch (error) {
        fail(`attention ${precision}`, error);
      }
    }
  });
}

interface Run {
  readonly device: GPUDevice;
  readonly heat: Heat | undefined;
  readonly precision: MatrixPrecision;
}

async function measure(session: Session, { device, heat, precision }: Run): Promise<void> {
  const { quick, report } = session;
  const channels = HEAD_DIM * (quick ? 2 : HEADS);
  const backend = await webgpu({ device, profile: true, matrixPrecision: precision }).create();
  try {
    const cases = checks(precision, quick ? FEW : MANY);
    report({ name: `attention ${precision}: largest error`, relative: await verify(backend, cases) });
    const timed = async (name: string, queries: number, keys: number, call: () => void): Promise<void> => {
      heat?.(800);
      const microseconds = await deviceTime(backend, call, { quick, heat });
      const operations = 4 * channels * queries * (keys - (queries - 1) / 2);
      const bytes = 8 * channels * keys;
      report({
        name: `attention ${precision}: ${name}`,
        microseconds,
        queries,
        keys,
        'TFLOP/s': operations / microseconds / 1e6,
        'GB/s': queries === 1 ? bytes / microseconds / 1000 : undefined,
      });
    };
    for (const length of quick ? [64] : LENGTHS) {
      const { forward, backward, free } = calls(backend, length, length, channels);
      await timed('forward', length, length, forward);
      // Gradients are float32 whatever the precision.
      if (precision === 'float32' && length <= LONGEST_BACKWARD) await timed('backward', length, length, backward);
      free();
    }
    for (const keys of quick ? [64] : STEPS) {
      const { forward, free } = calls(backend, 1, keys, channels);
      await timed('step', 1, keys, forward);
      free();
    }
  } finally {
    await backend.dispose();
  }
}

const MANY = { batch: 2, heads: 4, kvHeads: 2 } as const;
const FEW = { batch: 1, heads: 2, kvHeads: 1 } as const;

/** Shapes that reach every kernel of a sequence and a step. */
function checks(precision: MatrixPrecision, heads: typeof MANY | typeof FEW): readonly Case[] {
  const relative = { float32: 2e-5, float16x2: 3e-5, float16: 5e-3 }[precision];
  const tolerance = { relative, reason: 'products of halves, or of pairs of them, where precision is below float32' };
  const shape = { ...heads, headDim: HEAD_DIM, tolerance };
  const sequence = { ...shape, id: 'sequence', queries: 150 };
  return [
    attentionCase(sequence),
    attentionCase({ ...shape, id: 'step', queries: 1, keys: 300 }),
    ...(precision === 'float32' ? [attentionBackwardCase(sequence)] : []),
  ];
}

function calls(backend: Backend, queries: number, keys: number, channels: number) {
  const [q, dy] = [tensor(backend, [1, queries, channels]), tensor(backend, [1, queries, channels])];
  const [k, v] = [tensor(backend, [1, keys, channels]), tensor(backend, [1, keys, channels])];
  const options = { headDim: HEAD_DIM };
  const kept = backend.attention(q, k, v, options);
  return {
    forward: () => disposeAll(Object.values(backend.attention(q, k, v, options))),
    backward: () => disposeAll(Object.values(backend.attentionBackward(q, k, v, options, kept, { y: dy }))),
    free: () => disposeAll([q, dy, k, v, kept.y, kept.logSumExp]),
  };
}
