import { type ByteSource, bytesSource } from '@mamba/checkpoint';
import { invalid, type Model } from '@mamba/core';
import { encodePieces } from '../tokenizer/pieces.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { type LogProbOptions, logProbs } from './log-probs.ts';

/** How a text is scored, and who is told of the progress. */
export interface PerplexityOptions extends Omit<LogProbOptions, 'state'> {
  /** Called after each chunk with the tokens predicted, the bytes encoded, and the bytes of the whole text. */
  readonly onProgress?: ((tokens: number, bytes: number, totalBytes: number) => void) | undefined;
}

/** How well a model predicts a text. */
export interface Perplexity {
  /** Number of tokens of the text. */
  readonly tokens: number;
  /** All tokens but the first. */
  readonly predictedTokens: number;
  /** Bytes of the text in UTF-8. */
  readonly bytes: number;
  /** Bytes of the text without those of the first token. */
  readonly predictedBytes: number;
  /** Negative log-likelihood of the predicted tokens, in nats. */
  readonly nll: number;
  /** `nll / ln 2 / predictedBytes`: comparable between tokenizers. */
  readonly bitsPerByte: number;
  /** `exp(nll / predictedTokens)`. */
  readonly perplexity: number;
}

/**
 * How well a model predicts a text or file; in constant memory if the tokenizer allows it (see `encodePieces`).
 * @throws MambaError `invalid-argument` for fewer than two tokens, `invalid-file` for a file that is not UTF-8,
 * `aborted`.
 */
export async function perplexity(
  model: Model,
  tokenizer: Tokenizer,
  text: string | ByteSource,
  options: PerplexityOptions = {},
): Promise<Perplexity> {
  const source = typeof text === 'string' ? bytesSource(new TextEncoder().encode(text), 'text') : text;
  let tokens = 0;
  let bytesEncoded = 0;
  let first: number | undefined;
  async function* counted(): AsyncGenerator<readonly number[], void, void> {
    for await (const piece of encodePieces(tokenizer, source)) {
      first ??= piece[0];
      tokens += piece.length;
      for (const id of piece) bytesEncoded += tokenizer.byteLength(id);
      yield piece;
    }
  }
  let nll = 0;
  let predictedTokens = 0;
  for await (const values of logProbs(model, counted(), options)) {
    for (const value of values) nll -= value;
    predictedTokens += values.length;
    options.onProgress?.(predictedTokens, Math.min(bytesEncoded, source.size), source.size);
  }
  if (first === undefined || predictedTokens === 0)
    throw invalid('perplexity.text', `${tokens} tokens`, 'at least two, the first of which is not predicted');
  const predictedBytes = source.size - tokenizer.byteLength(first);
  return {
    ...{ tokens, predictedTokens, bytes: source.size, predictedBytes, nll },
    bitsPerByte: nll / Math.LN2 / predictedBytes,
    perplexity: Math.exp(nll / predictedTokens),
  };
}
