import { invalid, MambaError } from '@mamba/core';
import { checkInteger } from '@mamba/core/toolkit';
import type { TokenSource } from './tokens.ts';

/** Tokens in order, with the places where documents begin. */
export interface Piece {
  readonly ids: Int32Array;
  /** 1 at the first token of a document. */
  readonly begins: Uint8Array;
}

/** How documents are told apart. */
export interface CorpusOptions {
  /** The token that ends a document. Default: documents end with their sources alone. */
  readonly end?: number | undefined;
}

interface Placed {
  readonly source: TokenSource;
  /** The place of its first token. */
  readonly first: number;
}

/** Documents one after another, from any number of sources. They are read in pieces. */
export class Corpus {
  /** Number of tokens. */
  readonly tokens: number;
  readonly #sources: readonly Placed[];
  readonly #end: number | undefined;
  readonly #from: number;

  private constructor(sources: readonly Placed[], end: number | undefined, from: number, tokens: number) {
    this.#sources = sources;
    this.#end = end;
    this.#from = from;
    this.tokens = tokens;
  }

  /** @throws MambaError `invalid-argument` without sources. */
  static of(sources: readonly TokenSource[], { end }: CorpusOptions = {}): Corpus {
    if (sources.length === 0) throw invalid('corpus.sources', 'none', 'at least one');
    if (end !== undefined) checkInteger('corpus.end', end, 0);
    let tokens = 0;
    const placed = sources.map((source) => {
      const first = tokens;
      tokens += source.length;
      return { source, first };
    });
    return new Corpus(placed, end, 0, tokens);
  }

  /** The tokens `[start, end)` as a corpus of their own, whose sources remain those of this one. */
  part(start: number, end: number): Corpus {
    checkInteger('corpus.part.start', start, 0, this.tokens);
    checkInteger('corpus.part.end', end, start, this.tokens);
    return new Corpus(this.#sources, this.#end, this.#from + start, end - start);
  }

  /**
   * Keeps the last tokens apart, to measure on what was not trained.
   * @param share Of all tokens, from 0 to 1.
   */
  split(share: number): { readonly train: Corpus; readonly heldOut: Corpus } {
    if (!(share >= 0 && share < 1)) throw invalid('corpus.split.share', String(share), 'at least 0 and below 1');
    const border = this.tokens - Math.round(share * this.tokens);
    return { train: this.part(0, border), heldOut: this.part(border, this.tokens) };
  }

  /** The tokens `[start, start + count)`. @throws MambaError `invalid-argument` outside, and the errors of a file. */
  async read(start: number, count: number): Promise<Piece> {
    checkInteger('corpus.read.start', start, 0, this.tokens);
    checkInteger('corpus.read.count', count, 0, this.tokens - start);
    const first = this.#from + start;
    // The token before the first one tells whether a document begins there.
    const before = this.#end !== undefined && first > 0 ? 1 : 0;
    const ids = await this.#ids(first - before, count + before);
    const begins = new Uint8Array(count);
    if (this.#end !== undefined)
      for (let index = 1 - before; index < count; index++) if (ids[before + index - 1] === this.#end) begins[index] = 1;
    for (const { first: border } of this.#sources)
      if (border >= first && border < first + count) begins[border - first] = 1;
    return { ids: ids.subarray(before), begins };
  }

  /** The largest id, which is looked for in pieces. */
  async largest(signal?: AbortSignal | undefined): Promise<number> {
    let largest = -1;
    for (let start = 0; start < this.tokens; start += PIECE) {
      if (signal?.aborted) throw new MambaError('aborted', 'reading tokens was aborted', { origin: 'corpus' });
      const ids = await this.#ids(this.#from + start, Math.min(PIECE, this.tokens - start));
      for (const id of ids) if (id > largest) largest = id;
    }
    return largest;
  }

  /** Closes all sources. */
  async close(): Promise<void> {
    for (const { source } of this.#sources) await source.close();
  }

  /** The ids from a place in all sources, which may belong to several of them. */
  async #ids(start: number, count: number): Promise<Int32Array> {
    const ids = new Int32Array(count);
    for (const { source, first } of this.#sources) {
      const from = Math.max(start, first);
      const to = Math.min(start + count, first + source.length);
      if (from < to) ids.set(await source.read(from - first, to - from), from - start);
    }
    return ids;
  }
}

const PIECE = 2 ** 20;
