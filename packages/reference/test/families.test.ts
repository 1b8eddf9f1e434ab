/**
 * Checkpoints of families with other blocks beside Mamba, compared with a plain computation from the tensors of their
 * files.
 */
import {
  bytesSource,
  type Checkpoint,
  type CheckpointStore,
  memorySink,
  openCheckpoint,
  type RawTensor,
  writeGguf,
  writeSafetensors,
} from '@mamba/checkpoint';
import { createModel } from '@mamba/core';
import { expect, it } from 'vitest';
import { reference } from '../src/index.ts';
import { relativeError } from './values.ts';

const IDS = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5];
const VOCABULARY = 12;
const WIDTH = 8;
const INNER = 16;
const STATE = 4;
const TAPS = 4;

interface Values {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

type Tensors = Map<string, Values>;

/** The differences between the two families. */
interface Family {
  readonly config: object;
  readonly layers: number;
  readonly hidden: number;
  readonly rank: number;
  readonly eps: number;
  /** The names of the tensors of a layer, and of those outside the layers. */
  readonly names: Readonly<Record<'embedding' | 'finalNorm' | 'head' | 'norm' | 'mixer' | 'mlpNorm' | 'down', string>>;
  /** The names of gate and up, `[hidden, width]` each. */
  readonly gateAndUp: { readonly gate: string; readonly up: string } | { readonly upOverGate: string };
  readonly mixerNorms: boolean;
}

const JAMBA: Family = {
  config: {
    ...{ model_type: 'jamba', hidden_size: WIDTH, intermediate_size: 20, num_hidden_layers: 3, vocab_size: VOCABULARY },
    ...{ mamba_d_state: STATE, mamba_d_conv: TAPS, mamba_dt_rank: 3, rms_norm_eps: 1e-3 },
    ...{ attn_layer_period: 9, attn_layer_offset: 5, num_experts: 1, tie_word_embeddings: false },
  },
  ...{ layers: 3, hidden: 20, rank: 3, eps: 1e-3, mixerNorms: true },
  names: {
    embedding: 'model.embed_tokens.weight',
    finalNorm: 'model.final_layernorm.weight',
    head: 'lm_head.weight',
    norm: 'model.layers.#.input_layernorm.weight',
    mixer: 'model.layers.#.mamba.',
    mlpNorm: 'model.layers.#.pre_ff_layernorm.weight',
    down: 'model.layers.#.feed_forward.down_proj.weight',
  },
  gateAndUp: {
    gate: 'model.layers.#.feed_forward.gate_proj.weight',
    up: 'model.layers.#.feed_forward.up_proj.weight',
  },
};

const ORIGINAL: Family = {
  config: {
    ...{ d_model: WIDTH, n_layer: 2, vocab_size: 10, pad_vocab_size_multiple: 4, d_intermediate: 90 },
    ...{ ssm_cfg: { d_state: STATE }, rms_norm: true, fused_add_norm: true },
  },
  ...{ layers: 2, hidden: 128, rank: 1, eps: 1e-5, mixerNorms: false },
  names: {
    embedding: 'backbone.embedding.weight',
    finalNorm: 'backbone.norm_f.weight',
    head: 'backbone.embedding.weight',
    norm: 'backbone.layers.#.norm.weight',
    mixer: 'backbone.layers.#.mixer.',
    mlpNorm: 'backbone.layers.#.norm2.weight',
    down: 'backbone.layers.#.mlp.fc2.weight',
  },
  gateAndUp: { upOverGate: 'backbone.layers.#.mlp.fc1.weight' },
};

/** Seeded random numbers from -1 to 1. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

function makeTensors({ layers, hidden, rank, names, gateAndUp, mixerNorms }: Family): Tensors {
  const next = randomNumbers(layers);
  const tensors: Tensors = new Map();
  const add = (name: string, shape: readonly number[], value: () => number): void => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    tensors.set(name, { shape, data: Float32Array.from({ length: size }, value) });
  };
  const matrix = (name: string, rows: number, columns: number) =>
    add(name, [rows, columns], () => (1.5 * next()) / Math.sqrt(columns));
  const norm = (name: string, size: number) => add(name, [size], () => 1 + 0.4 * next());
  matrix(names.embedding, VOCABULARY, WIDTH);
  if (names.head !== names.embedding) matrix(names.head, VOCABULARY, WIDTH);
  norm(names.finalNorm, WIDTH);
  for (let layer = 0; layer < layers; layer++) {
    const name = (pattern: string): string => pattern.replace('#', String(layer));
    const mixer = name(names.mixer);
    norm(name(names.norm), WIDTH);
    matrix(`${mixer}in_proj.weight`, 2 * INNER, WIDTH);
    add(`${mixer}conv1d.weight`, [INNER, 1, TAPS], next);
    add(`${mixer}conv1d.bias`, [INNER], next);
    matrix(`${mixer}x_proj.weight`, rank + 2 * STATE, INNER);
    matrix(`${mixer}dt_proj.weight`, INNER, rank);
    add(`${mixer}dt_proj.bias`, [INNER], () => next() - 1);
    add(`${mixer}A_log`, [INNER, STATE], next);
    add(`${mixer}D`, [INNER], next);
    matrix(`${mixer}out_proj.weight`, WIDTH, INNER);
    if (mixerNorms) {
      norm(`${mixer}dt_layernorm.weight`, rank);
      norm(`${mixer}b_layernorm.weight`, STATE);
      norm(`${mixer}c_layernorm.weight`, STATE);
    }
    norm(name(names.mlpNorm), WIDTH);
    if ('gate' in gateAndUp) {
      matrix(name(gateAndUp.gate), hidden, WIDTH);
      matrix(name(gateAndUp.up), hidden, WIDTH);
    } else matrix(name(gateAndUp.upOverGate), 2 * hidden, WIDTH);
    matrix(name(names.down), WIDTH, hidden);
  }
  return tensors;
}

/** The logits after each token, computed token by token in float64. */
function plainLogits(family: Family, tensors: Tensors): number[] {
  const { names, gateAndUp, layers, hidden, rank, eps, mixerNorms } = family;
  const data = (name: string): Float32Array => tensors.get(name)!.data;
  const silu = (value: number): number => value / (1 + Math.exp(-value));
  const apply = (weight: Float32Array, x: readonly number[]): number[] =>
    Array.from({ length: weight.length / x.length }, (_, row) =>
      x.reduce((sum, value, column) => sum + weight[row * x.length + column]! * value, 0),
    );
  const rms = (x: readonly number[], weight: Float32Array): number[] => {
    const scale = 1 / Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length + eps);
    return x.map((value, index) => value * scale * weight[index]!);
  };
  const inputs = Array.from({ length: layers }, () => [] as number[][]);
  const states = Array.from({ length: layers }, () => new Float64Array(INNER * STATE));

  const mix = (layer: number, mixer: string, x: readonly number[]): number[] => {
    const xz = apply(data(`${mixer}in_proj.weight`), x);
    const past = inputs[layer]!;
    past.push(xz.slice(0, INNER));
    const u = Array.from({ length: INNER }, (_, channel) => {
      let sum = data(`${mixer}conv1d.bias`)[channel]!;
      for (let tap = 0; tap < TAPS; tap++) {
        const input = past[past.length - TAPS + tap];
        if (input !== undefined) sum += data(`${mixer}conv1d.weight`)[channel * TAPS + tap]! * input[channel]!;
      }
      return silu(sum);
    });
    const projected = apply(data(`${mixer}x_proj.weight`), u);
    const normed = (start: number, end: number, name: string): number[] => {
      const part = projected.slice(start, end);
      return mixerNorms ? rms(part, data(`${mixer}${name}_layernorm.weight`)) : part;
    };
    const B = normed(rank, rank + STATE, 'b');
    const C = normed(rank + STATE, rank + 2 * STATE, 'c');
    const steps = apply(data(`${mixer}dt_proj.weight`), normed(0, rank, 'dt')).map((value, channel) =>
      Math.log1p(Math.exp(value + data(`${mixer}dt_proj.bias`)[channel]!)),
    );
    const y = steps.map((step, channel) => {
      let sum = data(`${mixer}D`)[channel]! * u[channel]!;
      for (let index = 0; index < STATE; index++) {
        const at = channel * STATE + index;
        const decay = Math.exp(step * -Math.exp(data(`${mixer}A_log`)[at]!));
        states[layer]![at] = states[layer]![at]! * decay + step * B[index]! * u[channel]!;
        sum += states[layer]![at]! * C[index]!;
      }
      return sum * silu(xz[INNER + channel]!);
    });
    return apply(data(`${mixer}out_proj.weight`), y);
  };

  return IDS.flatMap((id) => {
    let x = Array.from(data(names.embedding).subarray(id * WIDTH, (id + 1) * WIDTH));
    const add = (y: readonly number[]): void => {
      x = x.map((value, index) => value + y[index]!);
    };
    for (let layer = 0; layer < layers; layer++) {
      const name = (pattern: string): string => pattern.replace('#', String(layer));
      add(mix(layer, name(names.mixer), rms(x, data(name(names.norm)))));
      const [gate, up] =
        'gate' in gateAndUp
          ? [data(name(gateAndUp.gate)), data(name(gateAndUp.up))]
          : [
              data(name(gateAndUp.upOverGate)).subarray(hidden * WIDTH),
              data(name(gateAndUp.upOverGate)).subarray(0, hidden * WIDTH),
            ];
      const input = rms(x, data(name(names.mlpNorm)));
      const gates = apply(gate!, input).map(silu);
      add(
        apply(
          data(name(names.down)),
          apply(up!, input).map((value, index) => value * gates[index]!),
        ),
      );
    }
    return apply(data(names.head), rms(x, data(names.finalNorm)));
  });
}

function storeOf(files: Readonly<Record<string, Uint8Array>>): CheckpointStore {
  return {
    name: 'memory',
    open: async (file) => (Object.hasOwn(files, file) ? bytesSource(files[file]!, file) : undefined),
    list: async () => Object.keys(files),
  };
}

function open({ config }: Family, tensors: Tensors): Promise<Checkpoint> {
  const raw = [...tensors].map(([name, { shape, data }]): [string, RawTensor] => [
    name,
    { dtype: 'F32', shape, bytes: new Uint8Array(data.buffer) },
  ]);
  return openCheckpoint(
    storeOf({
      'config.json': new TextEncoder().encode(JSON.stringify(config)),
      'model.safetensors': writeSafetensors(raw),
    }),
  );
}

/** Expects these logits, for the whole sequence in one call and in two. */
async function expectLogits({ config, source }: Checkpoint, expected: readonly number[], bound: number): Promise<void> {
  const backend = await reference().create();
  const model = await createModel(backend, config, source);
  const whole = model.forward([IDS], { logits: 'all' });
  expect(relativeError(await backend.read(whole.logits!), expected)).toBeLessThan(bound);
  const first = model.forward([IDS.slice(0, 5)], { logits: 'all' });
  const second = model.forward([IDS.slice(5)], { state: first.state, logits: 'all' });
  const both = [...(await backend.read(first.logits!)), ...(await backend.read(second.logits!))];
  expect(relativeError(both, expected)).toBeLessThan(bound);
  model.dispose();
  await backend.dispose();
}

it.each([
  ['Jamba without attention and experts', JAMBA],
  ["state-spaces' layout with MLPs", ORIGINAL],
])('%s gives the logits of a plain computation', async (_, family) => {
  const tensors = makeTensors(family);
  await expectLogits(await open(family, tensors), plainLogits(family, tensors), 1e-12);
});

it('Jamba gives them as GGUF as well', async () => {
  const tensors = makeTensors(JAMBA);
  const { config, source } = await open(JAMBA, tensors);
  const sink = memorySink();
  await writeGguf({ config, source, type: 'F32', sink });
  const copy = await openCheckpoint(storeOf({ 'model.gguf': sink.bytes() }));
  // The checkpoint stores A rounded to float32.
  await expectLogits(copy, plainLogits(JAMBA, tensors), 1e-6);
});
