/**
 * Transformers and a hybrid on webgpu, as fused as they get and composed of operations: prompts and steps behind them,
 * by the host's clock, and device time by kernel. Both forms have to choose the same tokens.
 */
import { type Backend, type BlockConfig, createModel, type Model, type ModelConfig, modelConfig } from '@mamba/core';
import { countersOf, profileOf, webgpu } from '@mamba/webgpu';
import { GENERATION_MODELS, GENERATION_SIZES } from '../../versus/generation.ts';
import type { Heat } from './heater.ts';
import { reportProfile } from './models.ts';
import { repeatedWeights } from './operands.ts';
import { type Session, withDevice } from './session.ts';

const CONTEXTS = [512, 2048, 8192] as const;
/** The context that is profiled by kernel. */
const PROFILED = 2048;
/** Tokens of a prompt that are read at once. */
const CHUNK = 512;

export function transformer(session: Session): Promise<void> {
  const { quick, dtypes } = session;
  return withDevice(session, async (device, heat) => {
    const size = quick ? { layers: 2, dModel: 64, vocabSize: 500 } : GENERATION_SIZES['130m'];
    const runs = modelsOf(size).flatMap(([model, config]) =>
      (dtypes.length > 0 ? dtypes : (['float16'] as const)).map((dtype) => ({ model, config, dtype })),
    );
    for (const { model, config, dtype } of runs) {
      const weights = repeatedWeights(config, heat);
      for (const profile of [false, true]) {
        const backend = await webgpu({ device, profile }).create();
        try {
          const fused = await createModel(backend, config, weights, { weights: dtype });
          const name = `${model} 130m ${dtype}`;
          if (profile) {
            await profiled(session, { name, backend, model: fused, heat, context: quick ? 20 : PROFILED });
            continue;
          }
          const composed = await createModel(backend, config, weights, { weights: dtype, composed: true });
          for (const context of quick ? [20] : CONTEXTS) {
            const expected = await timed(session, {
              name: `${name}, composed`,
              backend,
              model: composed,
              heat,
              context,
            });
            const ids = await timed(session, { name, backend, model: fused, heat, context });
            if (ids.some((id, step) => id !== expected[step]))
              throw new Error(`after ${context} tokens the fused model chose ${ids}, the composed one ${expected}`);
          }
        } finally {
          await backend.dispose();
        }
      }
    }
  });
}

type Size = { readonly layers: number; readonly dModel: number; readonly vocabSize: number };

/** Models by name: as Llama, GPT-2 and GPT-NeoX are built, and Mamba blocks with attention in every fourth place. */
function modelsOf(size: Size): readonly (readonly [string, ModelConfig])[] {
  const { dModel, vocabSize, layers } = size;
  const blocksOf = (wanted: string) => GENERATION_MODELS.find(({ name }) => name === wanted)!.blocks(size);
  const transformer = blocksOf('transformer');
  const heads = { kind: 'attention', heads: dModel / 64, headDim: 64, bias: true, outBias: true } as const;
  const mlp = { kind: 'mlp', dHidden: 4 * dModel, activation: 'gelu', bias: true } as const;
  const pairs = (attention: BlockConfig) => Array.from({ length: layers / 2 }, () => [attention, mlp]).flat();
  const model = (rest: Pick<ModelConfig, 'blocks'> & Partial<ModelConfig>): ModelConfig =>
    modelConfig({ dModel, vocabSize, ...rest });
  return [
    ['transformer', model({ blocks: transformer })],
    ['gpt-2', model({ norm: 'layer', positions: 16_384, blocks: pairs(heads) })],
    ['gpt-neox', model({ norm: 'layer', parallel: 2, blocks: pairs({ ...heads, rope: { rotaryDim: 16 } }) })],
    ['hybrid', model({ blocks: blocksOf('mamba').map((block, layer) => (layer % 4 === 1 ? transformer[0]! : block)) })],
  ];
}

interface Run {
  readonly name: string;
  readonly backend: Backend;
  readonly model: Model;
  readonly heat: Heat | undefined;
  readonly context: number;
}

/** Tokens that both forms have to choose. */
const COMPARED = 8;

/** Reports the prompt and the steps behind it, and returns the first ids. */
async function timed({ quick, report }: Session, run: Run): Promise<readonly number[]> {
  const { name, backend, heat, context } = run;
  const count = quick ? COMPARED : 64;
  await generate(run, count);
  heat?.(500);
  const before = countersOf(backend);
  const samples: Generation[] = [];
  for (let sample = 0; sample < (quick ? 1 : 5); sample++) samples.push(await generate(run, count));
  const after = countersOf(backend);
  const least = (what: 'prompt' | 'encoding' | 'steps'): number =>
    (1000 * Math.min(...samples.map((times) => times[what]))) / (what === 'prompt' ? 1 : count);
  report({ name: `prefill ${name}`, microseconds: least('prompt'), context });
  report({
    name: `decode ${name}`,
    microseconds: least('steps'),
    context,
    'tokens/s': 1e6 / least('steps'),
    'µs of the host': least('encoding'),
    'dispatches of prompt and steps': (after.dispatches - before.dispatches) / samples.length,
    'bind groups made': (after.bindGroups - before.bindGroups) / samples.length,
  });
  return samples[0]!.ids.slice(0, COMPARED);
}

async function profiled({ quick, report }: Session, run: Run): Promise<void> {
  const { name, backend, heat } = run;
  const count = quick ? 2 : 16;
  await generate(run, count);
  heat?.(500);
  const { state } = await readPrompt(run);
  await profileOf(backend);
  const { ids, state: after } = run.model.decode([[7]], state, { count, donateState: true });
  await backend.read(ids);
  reportProfile(report, `decode ${name} after ${run.context}`, await profileOf(backend), count);
  ids.dispose();
  after.dispose();
}

/** The ids, and milliseconds by the clock. */
interface Generation {
  readonly ids: readonly number[];
  readonly prompt: number;
  readonly encoding: number;
  readonly steps: number;
}

/** Reads a prompt and takes `count` steps. */
async function generate(run: Run, count: number): Promise<Generation> {
  const { backend, model } = run;
  const { state, milliseconds: prompt } = await readPrompt(run);
  const begin = performance.now();
  const { ids, state: after } = model.decode([[7]], state, { count, donateState: true });
  const encoding = performance.now() - begin;
  const values = await backend.read(ids);
  const steps = performance.now() - begin;
  ids.dispose();
  after.dispose();
  return { ids: [...values], prompt, encoding, steps };
}

async function readPrompt({ backend, model, context }: Run) {
  const tokens = Array.from({ length: context }, (_, index) => (index * 7919) % model.config.vocabSize);
  const begin = performance.now();
  const { logits, state } = model.forward([tokens], { logits: 'none', chunk: CHUNK });
  await backend.synchronize();
  logits?.dispose();
  return { state, milliseconds: performance.now() - begin };
}
