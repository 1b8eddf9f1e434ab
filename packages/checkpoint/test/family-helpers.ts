/** Small models of families with Mamba blocks and MLPs, with the tensor names of their files. */
import { sizeOf } from '@mamba/core';
import { type RawTensor, writeSafetensors } from '../src/index.ts';
import { memoryStore, random } from './helpers.ts';

export type Shapes = Readonly<Record<string, readonly number[]>>;

export const D_MODEL = 8;
const INNER = 16;
const STATE = 4;
const RANK = 3;
export const JAMBA_HIDDEN = 12;

export const JAMBA = {
  architectures: ['JambaForCausalLM'],
  model_type: 'jamba',
  ...{ hidden_size: D_MODEL, intermediate_size: JAMBA_HIDDEN, num_hidden_layers: 3, vocab_size: 10 },
  ...{ mamba_d_state: STATE, mamba_d_conv: 4, mamba_expand: 2, mamba_dt_rank: RANK },
  ...{ attn_layer_period: 8, attn_layer_offset: 4, num_experts: 1, rms_norm_eps: 1e-5, eos_token_id: 9 },
};

export function jambaShapes(layers = JAMBA.num_hidden_layers): Shapes {
  const shapes: Record<string, readonly number[]> = {
    'model.embed_tokens.weight': [10, D_MODEL],
    'model.final_layernorm.weight': [D_MODEL],
    'lm_head.weight': [10, D_MODEL],
  };
  for (let layer = 0; layer < layers; layer++) {
    const path = `model.layers.${layer}`;
    Object.assign(shapes, {
      [`${path}.input_layernorm.weight`]: [D_MODEL],
      [`${path}.pre_ff_layernorm.weight`]: [D_MODEL],
      ...mixerShapes(`${path}.mamba`, RANK),
      [`${path}.mamba.dt_layernorm.weight`]: [RANK],
      [`${path}.mamba.b_layernorm.weight`]: [STATE],
      [`${path}.mamba.c_layernorm.weight`]: [STATE],
      [`${path}.feed_forward.gate_proj.weight`]: [JAMBA_HIDDEN, D_MODEL],
      [`${path}.feed_forward.up_proj.weight`]: [JAMBA_HIDDEN, D_MODEL],
      [`${path}.feed_forward.down_proj.weight`]: [D_MODEL, JAMBA_HIDDEN],
    });
  }
  return shapes;
}

export const ORIGINAL = {
  ...{ d_model: D_MODEL, n_layer: 2, vocab_size: 10, pad_vocab_size_multiple: 4, d_intermediate: 100 },
  ssm_cfg: { d_state: STATE },
};
/** The width of the MLP: 100 rounded up to a multiple of 128. */
export const ORIGINAL_HIDDEN = 128;

export function originalShapes(layers = ORIGINAL.n_layer): Shapes {
  const shapes: Record<string, readonly number[]> = {
    'backbone.embedding.weight': [12, D_MODEL],
    'backbone.norm_f.weight': [D_MODEL],
  };
  for (let layer = 0; layer < layers; layer++) {
    const path = `backbone.layers.${layer}`;
    Object.assign(shapes, {
      [`${path}.norm.weight`]: [D_MODEL],
      ...mixerShapes(`${path}.mixer`, 1),
      [`${path}.norm2.weight`]: [D_MODEL],
      [`${path}.mlp.fc1.weight`]: [2 * ORIGINAL_HIDDEN, D_MODEL],
      [`${path}.mlp.fc2.weight`]: [D_MODEL, ORIGINAL_HIDDEN],
    });
  }
  return shapes;
}

function mixerShapes(path: string, rank: number): Shapes {
  return {
    [`${path}.in_proj.weight`]: [2 * INNER, D_MODEL],
    [`${path}.conv1d.weight`]: [INNER, 1, 4],
    [`${path}.conv1d.bias`]: [INNER],
    [`${path}.x_proj.weight`]: [rank + 2 * STATE, INNER],
    [`${path}.dt_proj.weight`]: [INNER, rank],
    [`${path}.dt_proj.bias`]: [INNER],
    [`${path}.A_log`]: [INNER, STATE],
    [`${path}.D`]: [INNER],
    [`${path}.out_proj.weight`]: [D_MODEL, INNER],
  };
}

/** Seeded float32 values, which are most probably all different. */
export function seeded(shapes: Shapes, seed = 1): Map<string, Float32Array> {
  const next = random(seed);
  return new Map(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      Float32Array.from({ length: sizeOf(shape) }, () => next(2 ** 24) / 2 ** 24 - 0.5),
    ]),
  );
}

export function familyStore(
  config: object,
  shapes: Shapes,
  values: ReadonlyMap<string, Float32Array>,
): ReturnType<typeof memoryStore> {
  const tensors = [...values].map(([name, data]): [string, RawTensor] => [
    name,
    { dtype: 'F32', shape: shapes[name]!, bytes: new Uint8Array(data.buffer) },
  ]);
  return memoryStore({ 'config.json': JSON.stringify(config), 'model.safetensors': writeSafetensors(tensors) });
}
