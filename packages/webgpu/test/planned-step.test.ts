// The dispatches of a step of models that a step is prepared for, as the rules choose them for an H100. Nothing is
// computed, so this takes no hardware; planned-numbers.test.ts checks what such steps compute.
import { type ModelConfig, modelConfig } from '@mamba/core';
import { expect, test } from 'vitest';
import { recordedStep } from './recorded-step.ts';

const sizes = { dModel: 768, vocabSize: 52 };
const attention = { kind: 'attention', heads: 12, headDim: 64, bias: true, outBias: true } as const;
const mlp = { kind: 'mlp', dHidden: 3072, activation: 'gelu-tanh', gated: false, bias: true } as const;
const mamba = { kind: 'mamba', dInner: 1536, dState: 16, dConv: 4, dtRank: 48 } as const;

const gpt2 = modelConfig({ ...sizes, norm: 'layer', positions: 64, blocks: [attention, mlp] });
const rotary = { ...attention, rope: { rotaryDim: 16 } };
const neox = modelConfig({ ...sizes, norm: 'layer', parallel: 2, blocks: [rotary, mlp] });
const hybrid = modelConfig({ ...sizes, blocks: [mamba, attention, mamba, mlp] });

/** The dispatches of attention and of a feed-forward block for one row, after their norm. */
const ATTENTION = ['linear-vector', 'attention-place', 'attention-step', 'linear-vector'];
const MLP = ['linear-vector', 'linear-vector'];
const MAMBA = ['decode-in-proj', 'decode-scan', 'linear-vector'];
const HEAD = ['linear-vector', 'advance'];

/** A product of many rows, whose last dispatch adds up its parts; the first two are not joined with a norm. */
const PRODUCT = ['linear', 'linear-sum'];
const NORMED = ['linear', 'linear-sum-norm'];
const ATTENTION_OF_MANY = [...PRODUCT, 'attention-place', 'attention-step'];
const MLP_OF_MANY = [...PRODUCT, 'multiply', ...NORMED];
const MAMBA_OF_MANY = ['decode-in-proj', 'decode-scan', ...NORMED];
const HEAD_OF_MANY = [...PRODUCT, 'advance'];

const NORM = 'layer-norm';

test.each<{ form: string; config: ModelConfig; rows: number; step: readonly string[]; composed: number }>([
  {
    ...{ form: 'GPT-2', config: gpt2, rows: 1, composed: 23 },
    // Products of so few outputs apply a LayerNorm themselves.
    step: ['embedding', 'embedding', ...ATTENTION, ...MLP, NORM, ...HEAD],
  },
  {
    ...{ form: 'GPT-2', config: gpt2, rows: 12, composed: 30 },
    step: ['embedding', 'embedding', NORM, ...ATTENTION_OF_MANY, ...NORMED, ...MLP_OF_MANY, ...HEAD_OF_MANY],
  },
  {
    ...{ form: 'GPT-NeoX', config: neox, rows: 1, composed: 23 },
    // Both blocks of a pair read the same residual, so their norms are one dispatch.
    step: ['embedding', NORM, ...ATTENTION, ...MLP, NORM, ...HEAD],
  },
  {
    ...{ form: 'GPT-NeoX', config: neox, rows: 12, composed: 30 },
    step: ['embedding', NORM, ...ATTENTION_OF_MANY, ...PRODUCT, ...MLP_OF_MANY, ...HEAD_OF_MANY],
  },
  {
    ...{ form: 'a hybrid', config: hybrid, rows: 1, composed: 49 },
    step: ['embedding', ...MAMBA, ...ATTENTION, ...MAMBA, ...MLP, ...HEAD],
  },
  {
    ...{ form: 'a hybrid', config: hybrid, rows: 12, composed: 62 },
    step: [
      ...['embedding', ...MAMBA_OF_MANY, ...ATTENTION_OF_MANY, ...NORMED, ...MAMBA_OF_MANY, ...MLP_OF_MANY],
      ...HEAD_OF_MANY,
    ],
  },
])('a step of $rows rows of $form', async ({ config, rows, step, composed }) => {
  expect(await stepOf(config, rows, false)).toEqual(step);
  expect(await stepOf(config, rows, true)).toHaveLength(composed);
});

/** The shaders of a step's dispatches. */
async function stepOf(config: ModelConfig, batch: number, composed: boolean): Promise<string[]> {
  const labels = await recordedStep(config, { batch, composed });
  return labels.map((label) => label.replace(/[/ ].*/, ''));
}
