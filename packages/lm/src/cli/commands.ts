import { openFile } from '@mamba/checkpoint';
import { type Backend, invalid } from '@mamba/core';
import type { FinishReason } from '../generate/generate.ts';
import { type LanguageModel, loadModel } from '../language-model.ts';
import { openBackend } from './backends.ts';
import { print, progress, remark } from './terminal.ts';

export interface GenerateFlags {
  readonly backend?: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed?: number;
  readonly ids?: boolean;
}

export interface ScoreFlags {
  readonly backend?: string;
  readonly window?: number;
  readonly json?: boolean;
}

export function generate(folder: string, prompt: string, flags: GenerateFlags, signal: AbortSignal): Promise<void> {
  const { backend, ids: asIds = false, ...options } = flags;
  return withModel(backend, folder, signal, async (lm) => {
    const start = performance.now();
    let first = start;
    let count = 0;
    let reason: FinishReason | undefined;
    const pieces = lm.generate({ ...options, prompt: asIds ? parseIds(prompt) : prompt, signal });
    if (!asIds) await print(prompt, signal);
    for await (const piece of pieces) {
      if (count === 0) first = performance.now();
      if (piece.id !== undefined) count++;
      const id = piece.id === undefined ? '' : `${count > 1 ? ' ' : ''}${piece.id}`;
      await print(asIds ? id : piece.text, signal);
      reason = piece.finishReason;
    }
    await print('\n', signal);
    const seconds = (performance.now() - start) / 1000;
    const ended = reason === 'stop' ? 'ended by itself' : 'ended at --max-tokens';
    remark(
      `${count} tokens in ${seconds.toFixed(2)} s (${(count / seconds).toFixed(1)} tokens/s, ` +
        `first after ${((first - start) / 1000).toFixed(2)} s); ${ended}`,
    );
  });
}

export function score(folder: string, path: string, flags: ScoreFlags, signal: AbortSignal): Promise<void> {
  return withModel(flags.backend, folder, signal, async (lm) => {
    const file = await openFile(path);
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
      await file.close();
    }
  });
}

async function withModel(
  specifier: string | undefined,
  folder: string,
  signal: AbortSignal,
  use: (lm: LanguageModel) => Promise<void>,
): Promise<void> {
  const backend = await openBackend(specifier);
  try {
    const lm = await load(backend, folder, signal);
    try {
      await use(lm);
    } finally {
      lm.dispose();
    }
  } finally {
    await backend.dispose();
  }
}

async function load(backend: Backend, folder: string, signal: AbortSignal): Promise<LanguageModel> {
  const bar = progress('loading');
  const start = performance.now();
  try {
    const onProgress = (done: number, total: number): void => bar.update(done, total);
    const lm = await loadModel(backend, folder, { signal, onProgress });
    bar.stop();
    const seconds = ((performance.now() - start) / 1000).toFixed(2);
    const megabytes = (backend.memory().bytes / 2 ** 20).toFixed(1);
    remark(`${folder} on ${backend.name} (${backend.description}): loaded in ${seconds} s, ${megabytes} MiB`);
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
