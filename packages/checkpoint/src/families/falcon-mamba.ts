/** Falcon-Mamba: Mamba with RMS norms of dt, B and C, without weights. */
import type { Family } from './family.ts';
import {
  mamba,
  mambaOf,
  normWeightsRefusal,
  readTransformersMamba,
  transformersMamba,
  transformersMambaJson,
  uniformMambaRefusal,
} from './mamba.ts';

export const falconMamba: Family = {
  name: 'falcon-mamba',
  folder: {
    identity: { modelType: 'falcon_mamba', architectures: ['FalconMambaForCausalLM', 'FalconMambaModel'] },
    refusal(config) {
      const refusal = uniformMambaRefusal(config) ?? normWeightsRefusal(mambaOf(config));
      if (refusal !== undefined) return refusal;
      return mambaOf(config).mixerNormEps === undefined ? 'has no norms of dt, B and C' : undefined;
    },
    config: (fields) => readTransformersMamba(fields, { mixerNormEps: fields.number('mixer_rms_eps', 0, 1, 1e-6) }),
    json: (config) => transformersMambaJson(config, { mixer_rms_eps: mambaOf(config).mixerNormEps }),
    ...transformersMamba,
  },
  gguf: mamba.gguf,
};
