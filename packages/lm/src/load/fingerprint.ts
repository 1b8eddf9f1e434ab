import type { HostRows, HostTensor, ModelConfig, ParameterSource, ParameterSpec } from '@mamba/core';
import { bfloat16ToNumber, float16ToNumber, sizeOf } from '@mamba/core/toolkit';

/** Most values of each parameter that are hashed. */
const SAMPLES = 4096;

/**
 * Wraps a source of parameters so that it hashes the values that pass through: `digest()` then identifies the model by
 * 64 bits, as 16 hex digits. The hash covers the config and, for every parameter, its name, its shape and up to 4,096
 * values as float32, spread evenly from the first to the last. Since these are the checkpoint's values before the
 * backend converts them, the digest is the same on any backend, with any dtype of weights, and for another file format
 * with the same values. It distinguishes models that were trained differently, and does not resist forgery.
 */
export function fingerprinting(
  config: ModelConfig,
  source: ParameterSource,
): { readonly source: ParameterSource; digest(): string } {
  const hash = new Hash();
  const entries = Object.entries(hashedConfig(config)).filter(([, value]) => value !== undefined);
  hash.text(JSON.stringify(entries.sort(([a], [b]) => (a < b ? -1 : 1))));
  /** Makes a function that takes a parameter's values, as a whole or in pieces from the first to the last. */
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
 * The config as it is hashed. If all layers are alike, their block is written once, beside the number of layers, and
 * the kind of a Mamba block is left out. This keeps the fingerprints in sessions of earlier releases, which had only
 * that.
 */
function hashedConfig({ blocks, ...model }: ModelConfig): object {
  const [first, ...others] = blocks.map((block) => JSON.stringify(block));
  if (others.some((other) => other !== first)) return { ...model, blocks };
  const { kind, ...options } = blocks[0]!;
  return { ...model, ...options, layers: blocks.length, ...(kind !== 'mamba' && { kind }) };
}

/** A hash of 64 bits: two lanes of 32 bits with different multipliers, each mixed with the other at the end. */
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
