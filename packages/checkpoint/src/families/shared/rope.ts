/** Rotary positions as configs of transformers describe them: the base, a part of each head, and stretched contexts. */
import type { AttentionConfig, RopeConfig } from '@mamba/core';
import { Fields, MAX_SIZE } from '../../config/fields.ts';
import { damaged, show } from '../../errors.ts';

export interface ReadRope {
  readonly rope: RopeConfig;
  /** The scale of attention, where it is not the usual one. */
  readonly scale?: number | undefined;
}

/** The names of the fields before transformers 5, which has `rope_parameters` for all of them. */
export interface RopeFields {
  readonly theta: string;
  /** The part of a head that is turned. Default: the whole head. */
  readonly part?: string | undefined;
}

/**
 * Reads the rotary positions of a config.
 * @throws MambaError `unsupported` for another scaling than linear, llama3 and YaRN, by its name.
 */
export function readRope(fields: Fields, headDim: number, names: RopeFields, part = 1): ReadRope {
  const parameters = fields.object('rope_parameters');
  const old = fields.object('rope_scaling');
  const scaling = parameters ?? old ?? new Fields(fields.origin('rope_scaling'), {});
  const theta = thetaOf(parameters, fields, names.theta);
  const share =
    parameters?.get('partial_rotary_factor') !== undefined
      ? parameters.number('partial_rotary_factor', 0, 1, part)
      : names.part === undefined
        ? 1
        : fields.number(names.part, 0, 1, part);
  const rotaryDim = Math.floor(headDim * share);
  if (rotaryDim < 2 || rotaryDim % 2 !== 0)
    throw damaged(fields.origin(names.part ?? 'head_dim'), `${rotaryDim} channels that are turned`, 'an even number');
  const plain = { theta, ...(rotaryDim !== headDim && { rotaryDim }) };
  const frequencies = Array.from({ length: rotaryDim / 2 }, (_, pair) => theta ** ((-2 * pair) / rotaryDim));
  const type = scaling.get('rope_type') ?? scaling.get('type') ?? 'default';
  const most = fields.integer(['max_position_embeddings'], 1, 2 ** 31, 2048);
  switch (type) {
    case 'default':
      return { rope: plain };
    case 'linear': {
      const factor = factorOf(scaling);
      return { rope: { frequencies: frequencies.map((frequency) => frequency / factor) } };
    }
    case 'llama3':
      return { rope: { frequencies: llama3(scaling, frequencies, most) } };
    case 'yarn': {
      const { stretched, factor } = yarn(scaling, frequencies, theta, rotaryDim, most);
      if (factor !== 1 && rotaryDim !== headDim)
        throw scaling.unsupported('rope_type', '"yarn" of a part of each head', 'heads that are turned as a whole');
      // cos and sin are multiplied by the factor, and so are q and k.
      return { rope: { frequencies: stretched }, ...(factor !== 1 && { scale: headDim ** -0.5 * factor ** 2 }) };
    }
    default:
      throw scaling.unsupported('rope_type', show(type), '"default", "linear", "llama3" or "yarn"');
  }
}

/** The fields of plain rotary positions, in the form of transformers 5 and with the older names beside it. */
export function ropeJson({ headDim, rope = {} }: AttentionConfig, names: RopeFields): object {
  const { theta = 10000, rotaryDim = headDim } = rope;
  const part = rotaryDim / headDim;
  return {
    rope_parameters: {
      rope_type: 'default',
      rope_theta: theta,
      ...(names.part !== undefined && { partial_rotary_factor: part }),
    },
    [names.theta]: theta,
    ...(names.part !== undefined && { [names.part]: part }),
  };
}

/** The reason why positions are not rotary ones by a base, of the halves of a head; undefined where they are. */
export function plainRopeRefusal({ rope, headDim }: AttentionConfig, { part }: RopeFields): string | undefined {
  if (rope === undefined) return 'has attention without rotary positions';
  if (rope.interleaved) return 'has rotary positions of neighbouring channels';
  if (rope.frequencies !== undefined) return 'has rotary frequencies of its own';
  const { rotaryDim = headDim } = rope;
  if (part === undefined) return rotaryDim === headDim ? undefined : 'has rotary positions of a part of each head';
  // The file holds a share, of which transformers takes the whole part.
  return Math.floor(headDim * (rotaryDim / headDim)) === rotaryDim ? undefined : `turns ${rotaryDim} of ${headDim}`;
}

function thetaOf(parameters: Fields | undefined, fields: Fields, name: string): number {
  if (parameters?.get('rope_theta') !== undefined) return parameters.number('rope_theta', 1, 1e30, 10000);
  return fields.number(name, 1, 1e30, 10000);
}

function factorOf(scaling: Fields): number {
  const value = scaling.get('factor');
  if (!(typeof value === 'number' && value >= 1 && value <= 1e6))
    throw damaged(scaling.origin('factor'), show(value), 'a number from 1 to 1e6');
  return value;
}

/** Llama 3.1's frequencies: slow ones are divided by the factor, fast ones stay, and those between are mixed. */
function llama3(scaling: Fields, frequencies: readonly number[], most: number): readonly number[] {
  const factor = factorOf(scaling);
  const low = scaling.number('low_freq_factor', 1e-6, 1e6, 1);
  const high = scaling.number('high_freq_factor', 1e-6, 1e6, 4);
  const length = scaling.integer(['original_max_position_embeddings'], 1, 2 ** 31, most);
  if (high <= low) throw damaged(scaling.origin('high_freq_factor'), `${high}`, `more than ${low}, low_freq_factor`);
  return frequencies.map((frequency) => {
    const turns = (length * frequency) / (2 * Math.PI);
    const share = Math.min(1, Math.max(0, (turns - low) / (high - low)));
    return (1 - share) * (frequency / factor) + share * frequency;
  });
}

/** YaRN (arXiv 2309.00071): frequencies between two numbers of turns are mixed, and cos and sin are multiplied. */
function yarn(
  scaling: Fields,
  frequencies: readonly number[],
  theta: number,
  rotaryDim: number,
  most: number,
): { readonly stretched: readonly number[]; readonly factor: number } {
  const length = scaling.integer(['original_max_position_embeddings'], 1, 2 ** 31, most);
  const factor = scaling.get('factor') === undefined ? most / length : factorOf(scaling);
  const place = (turns: number): number =>
    (rotaryDim * Math.log(length / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const whole = scaling.boolean('truncate', true);
  const first = place(scaling.number('beta_fast', 1e-6, 1e6, 32));
  const last = place(scaling.number('beta_slow', 1e-6, 1e6, 1));
  const low = Math.max(0, whole ? Math.floor(first) : first);
  const high = Math.min(rotaryDim - 1, whole ? Math.ceil(last) : last);
  const span = high === low ? 0.001 : high - low;
  const stretched = frequencies.map((frequency, pair) => {
    const share = Math.min(1, Math.max(0, (pair - low) / span));
    return share * (frequency / factor) + (1 - share) * frequency;
  });
  const mscale = (weight: number): number => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1);
  const given = scaling.get('attention_factor');
  if (given !== undefined) return { stretched, factor: scaling.number('attention_factor', 1e-6, 1e6, 1) };
  const [own, all] = ['mscale', 'mscale_all_dim'].map((name) => scaling.number(name, 0, MAX_SIZE, 0)) as [
    number,
    number,
  ];
  return { stretched, factor: own !== 0 && all !== 0 ? mscale(own) / mscale(all) : mscale(1) };
}
