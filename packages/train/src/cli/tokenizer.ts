import {
  type ByteSource,
  checkpointStore,
  createFile,
  openFile,
  readTokenizerFiles,
  type TokenizerFiles,
} from '@mamba/checkpoint';
import { MambaError } from '@mamba/core';
import { byteTokenizerFiles } from '../data/byte-tokenizer.ts';
import { BYTE_END, BYTE_VOCABULARY, binaryTokens, byteTokens, type TokenSource } from '../data/tokens.ts';
import { importModule } from './modules.ts';

/** What turns text files into tokens. */
export interface TextTokens {
  readonly vocabSize: number;
  /** The token after each file. */
  readonly end: number | undefined;
  /** The files to save beside the model. */
  readonly files: ReadonlyMap<string, string>;
  /** Bytes of text that a token stands for. */
  byteLength(id: number): number;
  /**
   * The tokens of a text file.
   * @param cache Where they may be written to, so that they need not fit into memory.
   * @throws MambaError `aborted`, and the errors of the file and of the tokenizer.
   */
  open(path: string, cache: string, signal: AbortSignal): Promise<TokenSource>;
}

/** Bytes as tokens. */
export function byteText(): TextTokens {
  return {
    ...{ vocabSize: BYTE_VOCABULARY, end: BYTE_END, files: byteTokenizerFiles() },
    byteLength: (id) => (id === BYTE_END ? 0 : 1),
    open: async (path) => byteTokens(await openFile(path)),
  };
}

/** The parts of `@mamba/lm` that are used here. It is optional, so that nothing of it is imported ahead. */
interface LanguageModels {
  readonly Tokenizer: new (json: unknown, config: unknown, origin: string) => LmTokenizer;
  encodePieces(tokenizer: LmTokenizer, source: ByteSource): AsyncIterable<readonly number[]>;
}

interface LmTokenizer {
  idOf(token: string): number | undefined;
  byteLength(id: number): number;
}

/**
 * The tokenizer of a folder.
 * @throws MambaError `invalid-file` where there is none, `unavailable` where @mamba/lm is not installed.
 */
export async function folderText(folder: string): Promise<TextTokens> {
  return tokenizerText(await readTokenizerFiles(checkpointStore(folder)));
}

/** @throws MambaError as `folderText` does. */
export async function tokenizerText({ origin, json, config }: TokenizerFiles): Promise<TextTokens> {
  if (json === undefined)
    throw new MambaError('invalid-file', `${origin} cannot be used: there is no tokenizer`, {
      origin,
      remedy: 'Give a folder with a tokenizer.json as --tokenizer, or files of tokens.',
    });
  const bytes = byteText();
  if (JSON.stringify(json) === JSON.stringify(JSON.parse(bytes.files.get('tokenizer.json')!))) return bytes;
  const lm = (await importModule('@mamba/lm')) as LanguageModels | undefined;
  if (lm === undefined)
    throw new MambaError('unavailable', 'a tokenizer needs @mamba/lm, which is not installed', {
      origin,
      remedy: 'Add the package @mamba/lm from this repository, or train on bytes or on files of tokens.',
    });
  const tokenizer = new lm.Tokenizer(json, config, origin);
  const vocabSize = vocabularyOf(json);
  const { eos_token: eos } = config as { readonly eos_token?: string | { readonly content?: string } | null };
  const name = typeof eos === 'string' ? eos : eos?.content;
  const end = name === undefined ? undefined : tokenizer.idOf(name);
  return {
    ...{ vocabSize, end },
    files: new Map(
      Object.entries({ 'tokenizer.json': json, 'tokenizer_config.json': config }).map(([file, content]) => [
        file,
        `${JSON.stringify(content, null, 2)}\n`,
      ]),
    ),
    byteLength: (id) => (id === end ? 0 : tokenizer.byteLength(id)),
    async open(path, cache, signal) {
      const source = await openFile(path);
      try {
        await writeTokens(cache, lm.encodePieces(tokenizer, source), end, signal);
      } finally {
        await source.close();
      }
      return binaryTokens(await openFile(cache), 'uint32');
    },
  };
}

/** Writes tokens to a file, piece by piece, and the token that ends a document after them. */
async function writeTokens(
  path: string,
  pieces: AsyncIterable<readonly number[]>,
  end: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  const sink = await createFile(path);
  try {
    for await (const piece of pieces) {
      if (signal.aborted) throw new MambaError('aborted', 'reading text was aborted', { origin: path });
      await sink.write(new Uint8Array(Uint32Array.from(piece).buffer));
    }
    if (end !== undefined) await sink.write(new Uint8Array(Uint32Array.of(end).buffer));
    await sink.close();
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

/** One more than the largest id of a `tokenizer.json`. */
function vocabularyOf(json: object): number {
  const { model, added_tokens: added = [] } = json as {
    readonly model?: { readonly vocab?: Readonly<Record<string, number>> | readonly unknown[] };
    readonly added_tokens?: readonly { readonly id: number }[];
  };
  // Unigram has a list, whose places are the ids.
  const vocab = model?.vocab ?? {};
  const ids = Array.isArray(vocab) ? vocab.keys() : Object.values(vocab as Readonly<Record<string, number>>);
  let size = 0;
  for (const id of ids) size = Math.max(size, id + 1);
  for (const { id } of added) size = Math.max(size, id + 1);
  return size;
}
