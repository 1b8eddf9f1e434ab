import { join } from 'node:path';
import { type Checkpoint, openFile, openSafetensors } from '@mamba/checkpoint';
import { invalid } from '@mamba/core';
import { Corpus } from '../data/corpus.ts';
import { binaryTokens, safetensorsTokens, type TokenSource } from '../data/tokens.ts';
import type { Config } from './options.ts';
import { byteText, folderText, type TextTokens, tokenizerText } from './tokenizer.ts';

/** The data of a language model. */
export interface TextData {
  readonly train: Corpus;
  readonly heldOut: Corpus;
  readonly vocabSize: number;
  /** The token that ends a document, for the model's config. */
  readonly end: number | undefined;
  /** The files of the tokenizer, to save beside the model. */
  readonly files: ReadonlyMap<string, string>;
  /** Bytes of text that a token stands for; undefined where the files hold tokens without a tokenizer. */
  readonly byteLength: ((id: number) => number) | undefined;
  close(): Promise<void>;
}

/**
 * Opens the files of a training. Text is turned into tokens by the tokenizer that is given, or that of the model to
 * fine-tune, or byte by byte; files that end in `.bin` or `.safetensors` hold tokens.
 * @param init The model to fine-tune.
 * @throws MambaError where a file cannot be read or the tokens do not fit the model.
 */
export async function openTextData(
  config: Config,
  init: Checkpoint | undefined,
  signal: AbortSignal,
): Promise<TextData> {
  const { files, out, tokenType, heldOut } = config;
  const isText = files!.some((file) => !TOKENS.test(file));
  const text = await textOf(config, init, isText);
  const sources: TokenSource[] = [];
  try {
    for (const [index, file] of files!.entries()) {
      if (/\.bin$/i.test(file)) sources.push(binaryTokens(await openFile(file), tokenType!));
      else if (/\.safetensors$/i.test(file))
        sources.push(safetensorsTokens(await openSafetensors(await openFile(file))));
      else sources.push(await text!.open(file, join(out, `tokens-${index}.bin`), signal));
    }
    const end = config.endToken ?? text?.end;
    const corpus = Corpus.of(sources, { end });
    const largest = isText && files!.every((file) => !TOKENS.test(file)) ? -1 : await corpus.largest(signal);
    const vocabSize = init?.config.vocabSize ?? config.vocab ?? text?.vocabSize ?? largest + 1;
    if (Math.max(largest, end ?? 0, (text?.vocabSize ?? 0) - 1) >= vocabSize)
      throw invalid(
        'the tokens',
        `ids up to ${Math.max(largest, end ?? 0, (text?.vocabSize ?? 0) - 1)}`,
        `ids below ${vocabSize}, the vocabulary`,
      );
    return {
      ...corpus.split(heldOut!),
      ...{ vocabSize, end, files: text?.files ?? new Map(), byteLength: text?.byteLength },
      close: () => corpus.close(),
    };
  } catch (error) {
    for (const source of sources) await source.close();
    throw error;
  }
}

const TOKENS = /\.(bin|safetensors)$/i;

/** What turns text into tokens; undefined where only files of tokens are read and no tokenizer was given. */
async function textOf(
  { tokenizer }: Config,
  init: Checkpoint | undefined,
  isText: boolean,
): Promise<TextTokens | undefined> {
  if (tokenizer !== undefined) return folderText(tokenizer);
  const own = await init?.tokenizerFiles();
  if (own?.json !== undefined) return tokenizerText(own);
  if (!isText) return undefined;
  if (init !== undefined)
    throw invalid('--init', 'a model without a tokenizer', '--tokenizer with it, or files of tokens');
  return byteText();
}
