/**
 * The parts that families with Mamba blocks have in common: the names of the block's tensors in both formats, and
 * derived sizes.
 */
import type { HostTensor, Shape } from '@mamba/core';
import { type Fields, MAX_SIZE } from '../../config/fields.ts';
import { damaged } from '../../errors.ts';
import type { Codec } from '../family.ts';
import type { SpecialEntry } from '../table.ts';

/** The tensors of a Mamba block, by the names of its modules in PyTorch. */
export const MIXER: Readonly<Record<string, string | SpecialEntry>> = {
  'block.inProj': 'in_proj.weight',
  'block.inProjBias': 'in_proj.bias',
  'block.conv': { name: 'conv1d.weight', shape: depthwise },
  'block.convBias': 'conv1d.bias',
  'block.xProj': 'x_proj.weight',
  'block.dtProj': 'dt_proj.weight',
  'block.dtBias': 'dt_proj.bias',
  'block.A': { name: 'A_log', codec: negativeExp() },
  'block.D': 'D',
  'block.outProj': 'out_proj.weight',
  'block.outProjBias': 'out_proj.bias',
};

/**
 * The tensors of a Mamba block, by llama.cpp's names. The biases of in_proj and out_proj are an extension, since
 * llama.cpp does not have them.
 */
export const GGUF_MIXER: Readonly<Record<string, string | SpecialEntry>> = {
  'block.inProj': 'ssm_in.weight',
  'block.inProjBias': 'ssm_in.bias',
  'block.conv': 'ssm_conv1d.weight',
  'block.convBias': 'ssm_conv1d.bias',
  'block.xProj': 'ssm_x.weight',
  'block.dtNorm': 'ssm_dt_norm.weight',
  'block.BNorm': 'ssm_b_norm.weight',
  'block.CNorm': 'ssm_c_norm.weight',
  'block.dtProj': 'ssm_dt.weight',
  'block.dtBias': 'ssm_dt.bias',
  'block.A': { name: 'ssm_a', check: checkNegative },
  'block.D': 'ssm_d',
  'block.outProj': 'ssm_out.weight',
  'block.outProjBias': 'ssm_out.bias',
};

/** The inner size by an expansion factor. */
export function expanded(fields: Fields, name: string, dModel: number): number {
  const inner = dModel * fields.integer([name], 1, 2 ** 16, 2);
  if (inner > MAX_SIZE) throw damaged(fields.origin(name), `an inner size of ${inner}`, `at most ${MAX_SIZE}`);
  return inner;
}

/** Reads the rank of dt. The default, `auto`, is dModel / 16 rounded up. */
export function readDtRank(fields: Fields, name: string, dModel: number): number {
  if ((fields.get(name) ?? 'auto') === 'auto') return Math.ceil(dModel / 16);
  return fields.integer([name], 1, MAX_SIZE);
}

/** The shape of a depthwise convolution in PyTorch, with an axis for its single input channel. */
function depthwise([channels, taps]: Shape): Shape {
  return [channels!, 1, taps!];
}

/** The codec of A, which is stored as A_log: A = -exp(A_log). */
function negativeExp(): Codec {
  return { decode: (log) => -Math.exp(log), encode: (value) => Math.log(-value) };
}

/** Refuses a positive A. It is an A_log that was not converted, with which the model would run and diverge. */
function checkNegative(origin: string, { data, dtype }: HostTensor): void {
  const sign = dtype === 'float16' || dtype === 'bfloat16' ? (bits: number) => (bits & 0x8000 ? -1 : bits) : Math.sign;
  for (let index = 0; index < data.length; index++) {
    if (!(sign(data[index]!) <= 0))
      throw damaged(origin, `a value above 0, or NaN, at ${index}`, 'A = -exp(A_log), which is below 0 everywhere');
  }
}
