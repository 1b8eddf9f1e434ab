/** Drawing tokens on webgpu, by options, of logits of normal distribution, once it agrees with the reference. */
import { type Case, Random, sampleCase } from '@mamba/conformance';
import type { SampleOptions } from '@mamba/core';
import { webgpu } from '@mamba/webgpu';
import { tensor } from './operands.ts';
import { type Session, withDevice } from './session.ts';
import { deviceTime } from './timing.ts';
import { verify } from './verify.ts';

const VOCAB = 50280;

const OPTIONS: readonly { readonly name: string; readonly options: SampleOptions }[] = [
  { name: 'temperature', options: {} },
  { name: 'topK 50', options: { topK: 50 } },
  { name: 'topP 0.95', options: { topP: 0.95 } },
  { name: 'topP 0.95, temperature 0.5', options: { topP: 0.95, temperature: 0.5 } },
  { name: 'topK 50, topP 0.95', options: { topK: 50, topP: 0.95 } },
];

export function sample(session: Session): Promise<void> {
  const { quick, report } = session;
  return withDevice(session, async (device, heat) => {
    const backend = await webgpu({ device, profile: true }).create();
    try {
      const vocab = quick ? 500 : VOCAB;
      report({ name: 'sample: largest difference', relative: await verify(backend, checks(vocab)) });
      for (const rows of quick ? [2] : [1, 64]) {
        const random = new Random(1);
        const data = Float32Array.from({ length: rows * vocab }, () => 3 * random.normal());
        const logits = backend.upload({ dtype: 'float32', shape: [rows, vocab], data });
        const uniform = tensor(backend, [rows], 0.5, 0.5);
        for (const { name, options } of OPTIONS) {
          heat?.(500);
          const draw = () => backend.sample(logits, uniform, options).dispose();
          const microseconds = await deviceTime(backend, draw, { quick, heat });
          report({ name: `sample, ${name}`, microseconds, rows, vocab, 'µs a row': microseconds / rows });
        }
        logits.dispose();
        uniform.dispose();
      }
    } finally {
      await backend.dispose();
    }
  });
}

function checks(vocab: number): readonly Case[] {
  return OPTIONS.map(({ name, options }, index) =>
    sampleCase({ ...options, rows: [8], vocab, id: name, seed: 900 + index }),
  );
}
