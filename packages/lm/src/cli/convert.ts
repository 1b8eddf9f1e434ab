import { resolve } from 'node:path';
import {
  type Checkpoint,
  createFile,
  createFolder,
  type FolderSink,
  GGUF_WRITABLE_TYPES,
  type GgufWritableType,
  modelConfigJson,
  SAFETENSORS_WRITABLE_TYPES,
  type SafetensorsWritableType,
  writeGguf,
  writeSafetensorsModel,
} from '@mamba/checkpoint';
import { invalid } from '@mamba/core';
import { checkpointTokenizer, type Tokenizer } from '../tokenizer/tokenizer.ts';
import { openBackend } from './backends.ts';
import { size } from './inspect.ts';
import { withCheckpoint } from './location.ts';
import { compareLogits, logitsOf } from './logits-error.ts';
import { checkFileTarget, checkFolderTarget } from './target.ts';
import { print, progress, remark } from './terminal.ts';

export interface ConvertFlags {
  readonly type: string;
  readonly backend?: string;
  readonly force?: boolean;
  /** Number of tokens to compare logits at; false compares none. */
  readonly check: number | false;
  readonly tokenizer: boolean;
}

/**
 * Converts a checkpoint: to a GGUF file if the target ends in `.gguf`, otherwise to a folder with safetensors. The
 * target appears, or is replaced, atomically.
 */
export async function convert(
  location: string,
  target: string,
  flags: ConvertFlags,
  signal: AbortSignal,
): Promise<void> {
  const gguf = /\.gguf$/i.test(target);
  const type = flags.type.toUpperCase();
  const types: readonly string[] = gguf ? GGUF_WRITABLE_TYPES : SAFETENSORS_WRITABLE_TYPES;
  if (!types.includes(type))
    throw invalid('--type', flags.type, `one of ${types.join(', ')} for ${gguf ? 'GGUF' : 'safetensors'}`);
  const replace = flags.force ?? false;
  await (gguf ? checkFileTarget : checkFolderTarget)(target, replace);
  // Resolved before the conversion, which may replace the working directory.
  const path = resolve(target);
  await withCheckpoint(location, signal, async (checkpoint) => {
    const tokenizer = flags.tokenizer ? await checkpointTokenizer(checkpoint) : undefined;
    const source: Source = { checkpoint, tokenizer, json: tokenizer && (await checkpoint.tokenizerFiles()).json };
    const bar = progress('writing');
    const onProgress = ({ bytes, totalBytes }: { bytes: number; totalBytes: number }): void =>
      bar.update(bytes, totalBytes);
    // Runs before the target is written: it may replace the source.
    const compared = flags.check === false ? undefined : await prepareCheck(source, flags, flags.check, signal);
    try {
      let bytes: number;
      try {
        if (gguf) bytes = await toGguf(source, target, type as GgufWritableType, { onProgress, signal, replace });
        else bytes = await toFolder(source, target, type as SafetensorsWritableType, { onProgress, signal, replace });
      } finally {
        bar.stop();
      }
      await print(`${target}: ${size(bytes)}\n`, signal);
      await compared?.show(path);
    } finally {
      await compared?.end();
    }
  });
}

interface Source {
  readonly checkpoint: Checkpoint;
  readonly tokenizer: Tokenizer | undefined;
  /** The content of `tokenizer.json`. */
  readonly json: unknown;
}

interface Writing {
  readonly onProgress: (progress: { readonly bytes: number; readonly totalBytes: number }) => void;
  readonly signal: AbortSignal;
  readonly replace: boolean;
}

async function toGguf(
  { checkpoint, tokenizer, json }: Source,
  target: string,
  type: GgufWritableType,
  { replace, ...writing }: Writing,
): Promise<number> {
  const { config, source, specialTokens } = checkpoint;
  const sink = await createFile(target, { replace });
  const { bytes, llamaCppLimits } = await writeGguf({
    ...{ config, source, type, sink, tokenizer: json, specialTokens, ...writing },
    chatTemplate: tokenizer?.chatTemplate?.source,
  });
  for (const limit of llamaCppLimits) remark(`llama.cpp will not read it as it is meant: ${limit}`);
  return bytes;
}

async function toFolder(
  { checkpoint, tokenizer, json }: Source,
  target: string,
  type: SafetensorsWritableType,
  { replace, ...writing }: Writing,
): Promise<number> {
  const { config, source, specialTokens } = checkpoint;
  const folder = await createFolder(target, { replace });
  try {
    const sink = await folder.createFile('model.safetensors');
    const { bytes } = await writeSafetensorsModel({ config, source, type, sink, ...writing });
    if (tokenizer !== undefined) {
      await writeJson(folder, 'tokenizer.json', json);
      await writeJson(folder, 'tokenizer_config.json', await tokenizerConfig(checkpoint, tokenizer));
    }
    if (checkpoint.generationConfig !== undefined)
      await writeJson(folder, 'generation_config.json', checkpoint.generationConfig);
    await writeJson(folder, 'config.json', modelConfigJson(config, specialTokens));
    await folder.close();
    return bytes;
  } catch (error) {
    await folder.abort();
    throw error;
  }
}

async function writeJson(folder: FolderSink, name: string, content: unknown): Promise<void> {
  const sink = await folder.createFile(name);
  try {
    await sink.write(new TextEncoder().encode(`${JSON.stringify(content, null, 2)}\n`));
    await sink.close();
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

async function tokenizerConfig(checkpoint: Checkpoint, tokenizer: Tokenizer): Promise<unknown> {
  const { config: kept } = await checkpoint.tokenizerFiles();
  const { bos, eos } = checkpoint.specialTokens;
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    ...(bos !== undefined && { bos_token: tokenizer.tokenOf(bos) }),
    ...(eos[0] !== undefined && { eos_token: tokenizer.tokenOf(eos[0]) }),
    ...kept,
    ...(tokenizer.chatTemplate && { chat_template: tokenizer.chatTemplate.source }),
  };
}

/** Computes the logits of the source, to compare those of the result with. */
async function prepareCheck(
  { checkpoint, tokenizer }: Source,
  flags: ConvertFlags,
  count: number,
  signal: AbortSignal,
) {
  const backend = await openBackend(flags.backend);
  try {
    const { vocabSize } = checkpoint.config;
    const ids = checkIds(tokenizer, count, vocabSize);
    const reference = await logitsOf(backend, checkpoint, ids, signal, 'the source');
    return {
      async show(target: string): Promise<void> {
        await withCheckpoint(target, signal, async (written) => {
          const logits = await logitsOf(backend, written, ids, signal, 'what was written');
          const error = compareLogits(reference, logits, vocabSize);
          await print(
            `logits over ${error.positions} tokens: relative error ${error.relativeRms.toExponential(2)}, ` +
              `largest difference ${error.maxAbsolute.toExponential(2)}, ` +
              `KL divergence ${error.divergence.toExponential(2)} nats, ` +
              `same likeliest token ${(100 * error.sameTop).toFixed(1)} %\n`,
            signal,
          );
        });
      },
      end: () => backend.dispose(),
    };
  } catch (error) {
    await backend.dispose();
    throw error;
  }
}

const TEXT =
  'It was a bright morning, and the people of the city came out to see the ships. "How many are there?" asked the old man. ' +
  'Nobody knew; some said twelve, others a hundred. They went down to the river and counted them, one after another, until evening.\n';

/**
 * The ids to compare logits at: those of a text, since predictions after random tokens say little; without a tokenizer,
 * ids spread over the vocabulary.
 */
function checkIds(tokenizer: Tokenizer | undefined, count: number, vocabSize: number): readonly number[] {
  if (tokenizer === undefined) return Array.from({ length: count }, (_, index) => (index * 7919 + 1) % vocabSize);
  const ids: number[] = [];
  while (ids.length < count) ids.push(...tokenizer.encode(TEXT));
  return ids.slice(0, count);
}
