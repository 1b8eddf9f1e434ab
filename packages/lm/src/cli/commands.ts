import type { Checkpoint } from '@mamba/checkpoint';
import { type Backend, invalid } from '@mamba/core';
import type { FinishReason } from '../generate/generate.ts';
import type { LanguageModel } from '../language-model.ts';
import { checkFits, type LoadOptions, loadCheckpoint } from '../load/load-model.ts';
import type { SamplingOptions } from '../sampling/options.ts';
import { PromptEncoder } from '../server/prompt-encoder.ts';
import { openBackend } from './backends.ts';
import { type ChatFlags, chat } from './chat.ts';
import { checkSampling, repeatBy, withDefaults } from './flags.ts';
import { openInput, readPrompt } from './input.ts';
import { size } from './inspect.ts';
import { withCheckpoint } from './location.ts';
import type { ServeFlags } from './serve.ts';
import { print, progress, remark, textOutput } from './terminal.ts';

export interface SamplingFlags extends Omit<SamplingOptions, 'logitBias'> {
  readonly maxTokens: number;
  readonly seed?: number;
  readonly stop?: string[];
  readonly stopIds?: number[];
  readonly logitBias?: Record<number, number>;
}

export interface GenerateFlags extends SamplingFlags, Common {
  readonly draft?: string;
  readonly draftTokens?: number;
  readonly ids?: boolean;
  readonly json?: boolean;
  readonly logProbs?: boolean;
  readonly topLogProbs?: number;
  readonly block?: number;
  readonly chunk?: number;
}

/** Flags of every command that loads a model. */
export interface Common {
  readonly backend?: string;
  readonly weights?: string;
  readonly tokenizer?: string;
}

export interface ScoreFlags extends Common {
  readonly window?: number;
  readonly json?: boolean;
}

export async function generate(
  folder: string,
  argument: string,
  flags: GenerateFlags,
  signal: AbortSignal,
): Promise<void> {
  const { backend, weights, tokenizer, draft, draftTokens, ids: asIds = false, json: asJson = false, ...given } = flags;
  const interactive = process.stdout.isTTY && !asIds && !asJson;
  const options = withDefaults(given, interactive);
  checkSampling(options);
  if (draftTokens !== undefined && draft === undefined)
    throw invalid('--draft-tokens', String(draftTokens), '--draft with it, the model that guesses');
  if (!asJson && (options.logProbs || options.topLogProbs !== undefined))
    throw invalid(
      options.logProbs ? '--log-probs' : '--top-log-probs',
      'plain text',
      '--json with it, which shows them',
    );
  const text = await readPrompt(argument, signal);
  const asked = asIds ? parseIds(text) : text;
  await withModel({ backend, weights, tokenizer }, folder, signal, async (lm) => {
    const small =
      draft === undefined
        ? undefined
        : await withCheckpoint(
            draft,
            signal,
            (checkpoint) => load(lm.model.backend, checkpoint, draft, weights, signal),
            { tokenizer },
          );
    const encoder = new PromptEncoder(lm, 1);
    try {
      const start = performance.now();
      // Long texts are encoded in a worker, so that the signal can interrupt it.
      const prompt = await encoder.prompt(asked, { splitSpecialTokens: false, signal });
      let first = start;
      let count = 0;
      let reason: FinishReason | undefined;
      const pieces = lm.generate({
        ...{ ...options, prompt, signal },
        ...(small && { draft: { model: small, tokens: draftTokens } }),
      });
      const output = textOutput(signal);
      if (!asIds && !asJson) await output.write(text, 'prompt');
      for await (const piece of pieces) {
        if (count === 0) first = performance.now();
        if (piece.id !== undefined) count++;
        const id = piece.id === undefined ? '' : `${count > 1 ? ' ' : ''}${piece.id}`;
        if (asJson || asIds) await print(asJson ? `${JSON.stringify(piece)}\n` : id, signal);
        else await output.write(piece.text, 'model');
        reason = piece.finishReason;
      }
      await output.end();
      if (!asJson) await print('\n', signal);
      const seconds = (performance.now() - start) / 1000;
      const ended = reason === 'stop' ? 'ended by itself' : 'ended at --max-tokens';
      remark(
        `${count} tokens in ${seconds.toFixed(2)} s (${(count / seconds).toFixed(1)} tokens/s, ` +
          `first after ${((first - start) / 1000).toFixed(2)} s); ${ended}`,
      );
      const again = interactive ? repeatBy(options) : undefined;
      if (again !== undefined) remark(`the same text again: ${again}`);
    } finally {
      await encoder.dispose();
      small?.dispose();
    }
  });
}

export async function chatWith(
  folder: string,
  flags: ChatFlags & SamplingFlags & Common,
  signal: AbortSignal,
): Promise<void> {
  const { backend, weights, tokenizer, system, session, ...given } = flags;
  // Each answer would be drawn by the same random numbers if there were a seed.
  const { seed: _, ...drawn } = withDefaults(given, process.stdout.isTTY);
  const sampling = given.seed === undefined ? drawn : { ...drawn, seed: given.seed };
  checkSampling(sampling);
  await withModel({ backend, weights, tokenizer }, folder, signal, (lm) =>
    chat(lm, { system, session } as ChatFlags, sampling, signal),
  );
}

export async function serve(folder: string, flags: ServeFlags & Common, signal: AbortSignal): Promise<void> {
  const { backend, weights, tokenizer, ...settings } = flags;
  // The packages of a server take as long to load as all others together, so that only this command loads them.
  const { listen } = await import('./serve.ts');
  const serving = await listen(folder, settings);
  try {
    await withModel({ backend, weights, tokenizer }, folder, signal, (lm) => serving.run(lm, signal));
  } finally {
    await serving.close();
  }
}

export async function score(folder: string, path: string, flags: ScoreFlags, signal: AbortSignal): Promise<void> {
  const file = await openInput(path, signal);
  try {
    await withModel(flags, folder, signal, async (lm) => {
      const bar = progress('scoring');
      try {
        const start = performance.now();
        const result = await lm.perplexity(file, {
          window: flags.window,
          signal,
          onProgress: (_, bytes, total) => bar.update(bytes, total),
        });
        bar.stop();
        const seconds = (performance.now() - start) / 1000;
        const how = flags.window === undefined ? 'one stream' : `windows of ${flags.window} tokens`;
        const text = flags.json
          ? JSON.stringify({ file: path, window: flags.window ?? null, seconds, ...result }, null, 2)
          : `${result.bitsPerByte.toFixed(4)} bits per byte, perplexity ${result.perplexity.toFixed(2)} (${how}; ` +
            `${result.predictedTokens} tokens, ${result.predictedBytes} bytes predicted)`;
        await print(`${text}\n`, signal);
        remark(`${seconds.toFixed(1)} s, ${(result.predictedTokens / seconds).toFixed(0)} tokens/s`);
      } finally {
        bar.stop();
      }
    });
  } finally {
    await file.close();
  }
}

/** Opens the checkpoint before the backend, so that a wrong path fails at once. */
async function withModel(
  { backend: specifier, weights, tokenizer }: { readonly [K in keyof Common]: Common[K] | undefined },
  folder: string,
  signal: AbortSignal,
  use: (lm: LanguageModel) => Promise<void>,
): Promise<void> {
  let backend: Backend | undefined;
  try {
    const lm = await withCheckpoint(
      folder,
      signal,
      async (checkpoint) => load(backend!, checkpoint, folder, weights, signal),
      {
        tokenizer,
        async checkConfig(config) {
          backend = await openBackend(specifier);
          checkFits(backend, config, weights as LoadOptions['weights']);
        },
      },
    );
    try {
      await use(lm);
    } finally {
      lm.dispose();
    }
  } finally {
    await backend?.dispose();
  }
}

async function load(
  backend: Backend,
  checkpoint: Checkpoint,
  name: string,
  weights: string | undefined,
  signal: AbortSignal,
): Promise<LanguageModel> {
  const bar = progress('loading');
  const start = performance.now();
  try {
    const onProgress = (done: number, total: number): void => bar.update(done, total);
    const dtype = weights as LoadOptions['weights'];
    const lm = await loadCheckpoint(backend, checkpoint, { weights: dtype, signal, onProgress });
    bar.stop();
    const seconds = ((performance.now() - start) / 1000).toFixed(2);
    const memory = size(backend.memory().bytes);
    remark(`${name} on ${backend.name} (${backend.description}): loaded in ${seconds} s, ${memory}`);
    return lm;
  } finally {
    bar.stop();
  }
}

function parseIds(text: string): number[] {
  const words = text.split(/[\s,]+/).filter((word) => word !== '');
  const wrong = words.find((word) => !/^\d+$/.test(word));
  if (wrong !== undefined) throw invalid('prompt', JSON.stringify(wrong), 'token ids, as in "12 5 7", with --ids');
  return words.map(Number);
}
