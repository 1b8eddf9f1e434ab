import type { HostRows, HostTensor, ModelConfig, ParameterSource, ParameterSpec } from '@mamba/core';
import { bfloat16ToNumber, float16ToNumber, sizeOf } from '@mamba/core/toolkit';

/** Values of each parameter that are looked at. */
const SAMPLES = 4096;

/**
 * Which model this is: 64 bits, in hex, over the config and, of every parameter, name, shape and up to 4,096 values
 * spread evenly from the first to the last, as float32. It is taken from the checkpoint's values on their way to the
 * backend, so that it is the same on any backend, with any dtype of weights, and for a checkpoint that was stored in
 * another format without changing a value; it costs no second reading. It tells models apart that were trained apart;
 * it is no protection against one that was made to look the same.
 */
export function fingerprinting(
  config: ModelConfig,
  source: ParameterSource,
): { readonly source: ParameterSource; digest(): string } {
  const hash = new Hash();
  const entries = Object.entries(facts(config)).filter(([, value]) => value !== undefined);
  hash.text(JSON.stringify(entries.sort(([a], [b]) => (a < b ? -1 : 1))));
  /** What takes a parameter's values, all at once or piece by piece from the first to the last. */
  const sampler = ({ name, shape }: ParameterSpec): ((piece: HostTensor) => void) => {
    hash.text(`${name} ${shape.join('x')}`);
    const size = sizeOf(shape);
    const count = Math.min(size, SAMPLES);
    let sample = 0;
    let start = 0;
    return ({ dtype, data }) => {
      const widen =
        dtype === 'float16' ? float16ToNumber : dtype === 'bfloat16' ? bfloat16ToNumber : (value: number) => value;
      const end = start + data.length;
      for (; sample < count; sample++) {
        const index = Math.floor((sample * (size - 1)) / Math.max(count - 1, 1));
        if (index >= end) break;
        hash.float(widen(data[index - start]!));
      }
      start = end;
    };
  };
  const whole = async (parameter: ParameterSpec): Promise<HostTensor> => {
    const host = await source(parameter);
    sampler(parameter)(host);
    return host;
  };
  const rows = async (parameter: ParameterSpec): Promise<HostRows | undefined> => {
    const host = await source.rows?.(parameter);
    if (host === undefined) return undefined;
    const take = sampler(parameter);
    return {
      dtype: host.dtype,
      shape: host.shape,
      async rows(first, count) {
        const piece = await host.rows(first, count);
        take(piece);
        return piece;
      },
    };
  };
  return { digest: () => hash.digest(), source: Object.assign(whole, { rows }) };
}

/**
 * The config as it is hashed. Layers that are alike are written once, beside their number, and a Mamba block's kind is
 * left out: so saved sessions name the same model as those of releases that knew no other kind.
 */
function facts({ blocks, ...model }: ModelConfig): object {
  const [first, ...others] = blocks.map((block) => JSON.stringify(block));
  if (others.some((other) => other !== first)) return { ...model, blocks };
  const { kind, ...options } = blocks[0]!;
  return { ...model, ...options, layers: blocks.length, ...(kind !== 'mamba' && { kind }) };
}

/** Two lanes of 32 bits with different multipliers, each mixed with the other at the end. */
class Hash {
  #low = 0x811c9dc5;
  #high = 0x9e3779b9;
  readonly #floats = new Float32Array(1);
  readonly #bits = new Uint32Array(this.#floats.buffer);

  text(text: string): void {
    for (const byte of new TextEncoder().encode(text)) this.#word(byte);
  }

  float(value: number): void {
    this.#floats[0] = value;
    this.#word(this.#bits[0]!);
  }

  digest(): string {
    const low = finish(this.#low ^ Math.imul(this.#high, 0x85ebca6b));
    const high = finish(this.#high ^ Math.imul(this.#low, 0xc2b2ae35));
    return [high, low].map((lane) => lane.toString(16).padStart(8, '0')).join('');
  }

  #word(word: number): void {
    this.#low = rotate(Math.imul(this.#low ^ word, 0xcc9e2d51), 15);
    this.#high = rotate(Math.imul(this.#high ^ word, 0x1b873593), 13) ^ this.#low;
  }
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function finish(value: number): number {
  let mixed = value;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
