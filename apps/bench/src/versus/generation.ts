/**
 * Generation by whole models of equal size, Mamba beside a Transformer: prompts are read and new tokens chosen, many
 * rows at once. Throughput counts the new tokens of all rows over the time of prompt and new tokens, as the paper's
 * figure 8 does (arXiv 2312.00752).
 */
import { MODEL_TOLERANCE } from '@mamba/conformance';
import {
  type Backend,
  type BlockConfig,
  createModel,
  isMambaError,
  type Model,
  type ModelConfig,
  modelConfig,
  parameterCount,
} from '@mamba/core';
import { stateBytes } from '@mamba/core/toolkit';
import { initialParameters, Random } from '@mamba/train';
import type { Pause, Values } from '../cases/contract.ts';
import { compareValues, readAll } from '../cases/values.ts';
import { describeDisagreement, messageOf, Stopped } from '../errors.ts';
import type { CheckRecord } from '../schema/report.ts';
import type { GenerationRow } from '../schema/versus.ts';
import { quantile } from '../timing/statistics.ts';

export interface GenerationModel {
  readonly name: string;
  readonly label: string;
  /** Blocks in the place of so many Mamba blocks, with about as many parameters. */
  blocks(size: { readonly layers: number; readonly dModel: number }): readonly BlockConfig[];
}

/** The models that generate. A line adds one. */
export const GENERATION_MODELS: readonly GenerationModel[] = [
  {
    name: 'mamba',
    label: 'Mamba',
    blocks: ({ layers, dModel }) => modelConfig({ layers, dModel, vocabSize: 2 }).blocks,
  },
  {
    name: 'transformer',
    label: 'Transformer',
    // Attention takes 4 dModel² parameters and this feed-forward block 8, together those of two Mamba blocks.
    blocks: ({ layers, dModel }) => {
      const headDim = Math.max(2, Math.min(64, dModel / 4));
      return Array.from({ length: Math.max(1, Math.round(layers / 2)) }, () => [
        { kind: 'attention' as const, heads: Math.floor(dModel / headDim), headDim, rope: {} },
        { kind: 'mlp' as const, dHidden: Math.round((8 * dModel) / 3 / 8) * 8, activation: 'silu' as const },
      ]).flat();
    },
  },
];

/** Sizes by name: Mamba's layers and width, and a vocabulary for both models. */
export const GENERATION_SIZES = {
  small: { layers: 8, dModel: 256, vocabSize: 1024 },
  '130m': { layers: 24, dModel: 768, vocabSize: 50280 },
  '370m': { layers: 48, dModel: 1024, vocabSize: 50280 },
  '1.4b': { layers: 48, dModel: 2048, vocabSize: 50280 },
} as const;

export interface GenerationOptions {
  readonly models: readonly GenerationModel[];
  readonly size: { readonly layers: number; readonly dModel: number; readonly vocabSize: number };
  /** Tokens of prompts, a measurement each. */
  readonly prompts: readonly number[];
  /** New tokens of each row. */
  readonly tokens: number;
  /** Rows at once, a measurement each. */
  readonly batches: readonly number[];
  /** Seconds that one generation may take. */
  readonly seconds: number;
}

export interface GenerationContext {
  readonly backend: Backend;
  readonly name: string;
  readonly reference: Backend;
  /** Bytes that weights and states may take. */
  readonly memory: number;
  readonly pause: Pause;
  /** Milliseconds of the clock that times are taken by. */
  now(): number;
  begin(label: string): void;
  add(row: GenerationRow): void;
}

const SEED = 18;
/** Layers of the model that is checked, and the tokens of its prompt. */
const [CHECKED_LAYERS, CHECKED_TOKENS] = [2, 5];

/** Measures one model with every prompt and batch. */
export async function measureGeneration(
  model: GenerationModel,
  options: GenerationOptions,
  context: GenerationContext,
): Promise<void> {
  const { size, prompts, tokens, batches } = options;
  const config = configOf(model, size);
  const head = {
    ...{ model: model.name, label: model.label, backend: context.name, layers: config.blocks.length },
    ...{ dModel: size.dModel, parameters: parameterCount(config), tokens },
  };
  const rows = prompts.flatMap((prompt) => batches.map((batch) => ({ prompt, batch })));
  context.begin(`${model.label} on ${context.name}: checking`);
  let check: CheckRecord;
  try {
    check = await checkModel(model, size, context);
  } catch (error) {
    if (error instanceof Stopped) throw error;
    for (const row of rows) context.add({ ...head, ...row, status: 'failed', reason: messageOf(error) });
    return;
  }
  if (!check.pass) {
    for (const row of rows)
      context.add({ ...head, ...row, status: 'disagrees', check, reason: describeDisagreement(check) });
    return;
  }
  await generateAll(config, rows, { head: { ...head, check }, ...options }, context);
}

export interface Row {
  readonly prompt: number;
  readonly batch: number;
}

type Head = Omit<GenerationRow, 'prompt' | 'batch' | 'status'>;

async function generateAll(
  config: ModelConfig,
  rows: readonly Row[],
  { head, tokens, seconds }: Pick<GenerationOptions, 'tokens' | 'seconds'> & { readonly head: Head },
  { backend, memory, pause, now, begin, add }: GenerationContext,
): Promise<void> {
  let model: Model | undefined;
  const measured: Measured[] = [];
  try {
    for (const row of rows) {
      const { prompt, batch } = row;
      begin(`${head.label} on ${head.backend}: ${batch} × ${prompt} + ${tokens} tokens`);
      await pause();
      const bytes = 4 * head.parameters + batch * stateBytes(config, prompt + tokens);
      if (bytes > memory) {
        add({ ...head, ...row, status: 'refused', refused: { bytes, limit: memory } });
        continue;
      }
      const expected = expectedSeconds(measured, row, tokens);
      if (expected > seconds) {
        const reason = `it would take about ${expected.toPrecision(2)} s, where ${seconds} s are allowed`;
        add({ ...head, ...row, status: 'stopped', expected, reason });
        continue;
      }
      try {
        model ??= await createModel(backend, config, initialParameters(config, { seed: SEED }));
        const times = await generate(model, row, tokens, { pause, now });
        measured.push({ ...row, seconds: times.seconds });
        add({ ...head, ...row, status: 'measured', ...times, perSecond: (batch * tokens) / times.seconds });
      } catch (error) {
        if (error instanceof Stopped) throw error;
        const reason = messageOf(error);
        if (isMambaError(error, 'unsupported')) add({ ...head, ...row, status: 'unsupported', reason });
        else if (isMambaError(error, 'out-of-memory'))
          add({ ...head, ...row, status: 'refused', refused: { bytes, limit: memory }, reason });
        else add({ ...head, ...row, status: 'failed', reason });
      }
    }
  } finally {
    model?.dispose();
  }
}

interface Measured extends Row {
  readonly seconds: number;
}

/**
 * The seconds that a generation may take at most, as far as smaller ones tell: they grow with the rows, and no faster
 * than the square of the length. 0 where none is smaller.
 */
export function expectedSeconds(measured: readonly Measured[], { batch, prompt }: Row, tokens: number): number {
  const estimates = measured
    .filter((other) => other.batch <= batch && other.prompt <= prompt)
    .map((other) => other.seconds * (batch / other.batch) * ((prompt + tokens) / (other.prompt + tokens)) ** 2);
  return estimates.length === 0 ? 0 : Math.min(...estimates);
}

/**
 * Generations of a second at least, or one that takes longer: the medians. One of few new tokens comes first, so that
 * kernels of these sizes are compiled and memory is there.
 */
async function generate(
  model: Model,
  { prompt, batch }: Row,
  tokens: number,
  { pause, now }: Pick<GenerationContext, 'pause' | 'now'>,
): Promise<{ prefillSeconds: number; seconds: number; state: number }> {
  await generateOnce(model, { prompt, batch }, Math.min(tokens, 2), now);
  const runs: { prefillSeconds: number; seconds: number; state: number }[] = [];
  let spent = 0;
  while (spent < 1 && runs.length < 3) {
    await pause();
    const run = await generateOnce(model, { prompt, batch }, tokens, now);
    runs.push(run);
    spent += run.seconds;
  }
  const median = (key: 'prefillSeconds' | 'seconds'): number =>
    quantile(
      runs.map((run) => run[key]),
      0.5,
    );
  return { prefillSeconds: median('prefillSeconds'), seconds: median('seconds'), state: runs[0]!.state };
}

async function generateOnce(model: Model, { prompt, batch }: Row, tokens: number, now: () => number) {
  const { backend } = model;
  const rows = promptsOf(batch, prompt, model.config.vocabSize);
  const start = now();
  const read =
    prompt > 1
      ? model.forward(
          rows.map((row) => row.subarray(0, -1)),
          { logits: 'none' },
        ).state
      : undefined;
  await backend.synchronize();
  const prefillSeconds = (now() - start) / 1000;
  const last = rows.map((row) => row.subarray(-1));
  let result: ReturnType<Model['decode']>;
  try {
    result = model.decode(last, read, { count: tokens, donateState: read !== undefined });
  } catch (error) {
    read?.dispose();
    throw error;
  }
  const { ids, state } = result;
  try {
    const chosen = await backend.read(ids);
    const seconds = (now() - start) / 1000;
    if (chosen.some((id) => id < 0)) throw new Error('its logits are not finite');
    return { prefillSeconds, seconds, state: state.bytes };
  } finally {
    ids.dispose();
    state.dispose();
  }
}

/** Logits after a prompt and after one step, of a model with two layers, whose others are the same. */
async function checkModel(
  model: GenerationModel,
  { dModel }: GenerationOptions['size'],
  { backend, reference, pause }: GenerationContext,
): Promise<CheckRecord> {
  const config = configOf(model, { layers: CHECKED_LAYERS, dModel, vocabSize: 64 });
  const values: Values[] = [];
  for (const one of [reference, backend]) {
    await pause();
    const opened = await createModel(one, config, initialParameters(config, { seed: SEED }));
    try {
      const rows = promptsOf(2, CHECKED_TOKENS + 1, 64);
      const prompt = opened.forward(rows.map((row) => row.subarray(0, -1)));
      const step = opened.forward(
        rows.map((row) => row.subarray(-1)),
        { state: prompt.state, donateState: true },
      );
      step.state.dispose();
      values.push(await readAll(one, { prompt: prompt.logits!, step: step.logits! }));
    } finally {
      opened.dispose();
    }
  }
  return compareValues(values[1]!, values[0]!, {
    tolerance: MODEL_TOLERANCE.relative,
    checked: `${config.blocks.length} blocks of it: logits after ${CHECKED_TOKENS} tokens and a step, two rows`,
  });
}

function configOf(model: GenerationModel, size: GenerationOptions['size']): ModelConfig {
  const { dModel, vocabSize } = size;
  return modelConfig({ dModel, vocabSize, blocks: model.blocks(size) });
}

function promptsOf(batch: number, length: number, vocabSize: number): Int32Array[] {
  const random = new Random(SEED);
  return Array.from({ length: batch }, () => Int32Array.from({ length }, () => random.integer(vocabSize)));
}
