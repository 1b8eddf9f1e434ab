import type { Tensor } from '@mamba/core';
import { ATTENTION_BACKWARD } from '../../cases/attention.ts';
import { damaged } from '../golden-file.ts';
import { type GoldenProcedure, type ProcedureCase, whereSupported } from './golden-procedure.ts';

/** Attention, and its gradients from its own results. */
export const attention: GoldenProcedure = {
  required: ['q', 'k', 'v', 'dout'],
  tolerance: ATTENTION_BACKWARD,
  run: (given) =>
    whereSupported(given, async (arena) => {
      const { backend, inputs } = given;
      const tensors = Object.fromEntries(Object.entries(inputs).map(([name, host]) => [name, arena.upload(host)]));
      const { q, k, v, dout } = tensors as Record<'q' | 'k' | 'v' | 'dout', Tensor>;
      const options = {
        window: optional(given, 'window'),
        globalTokens: optional(given, 'global_tokens'),
        scale: optional(given, 'scale'),
        softcap: optional(given, 'softcap'),
        segments: tensors.segments,
        keyLengths: tensors.key_lengths,
      };
      const results = arena.all(backend.attention(q, k, v, options));
      const gradients = arena.all(backend.attentionBackward(q, k, v, options, results, { y: dout }));
      const result = async (tensor: Tensor) => ({ shape: tensor.shape, data: await arena.read(tensor) });
      return {
        out: { out: await result(results.y), lse: await result(results.logSumExp) },
        grad: { q: await result(gradients.q), k: await result(gradients.k), v: await result(gradients.v) },
      };
    }),
};

/** A number of an entry, or undefined where it is null. @throws MambaError `invalid-file` on anything else. */
function optional({ entry, origin }: ProcedureCase, key: string): number | undefined {
  const { [key]: value = null } = entry;
  if (value === null) return undefined;
  if (typeof value !== 'number') throw damaged(`${origin}: ${key}`, String(value), 'a number or null');
  return value;
}
