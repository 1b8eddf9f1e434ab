import type { TokenLogProb } from '../sampling/log-softmax.ts';
import type { StopStrings } from '../tokenizer/stop-strings.ts';
import type { StreamDecoder } from '../tokenizer/stream-decoder.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { GeneratedToken } from './decoder/sequence.ts';
import type { FinishReason } from './generate.ts';

/**
 * A piece of generated text. The pieces' texts joined are what the ids add to the text of those before them, up to a
 * stop string: behind a prompt, a word keeps its space.
 */
export interface GeneratedPiece {
  /** Undefined in the closing piece. */
  readonly id: number | undefined;
  /**
   * Whole characters; empty while a character is incomplete, while it may begin a stop string, or where there is no
   * tokenizer.
   */
  readonly text: string;
  /** In nats, under the model; undefined unless asked for. */
  readonly logProb: number | undefined;
  /** The likeliest tokens at this place, likeliest first; undefined unless asked for. */
  readonly topLogProbs: readonly TokenLogProb[] | undefined;
  /** Set in the closing piece alone. */
  readonly finishReason: FinishReason | undefined;
}

/** Ids that decide how a text goes on; an unfinished character, or a word before, is no further away. */
const CONTEXT = 1024;

export interface PieceOptions {
  /** Undefined gives no text. */
  readonly tokenizer: Tokenizer | undefined;
  readonly stops: StopStrings;
  /** The ids so far, which the text continues. */
  readonly before: ArrayLike<number>;
  /** More may follow in a later call: what is not complete is left to it. */
  readonly unfinished?: boolean;
}

/** Makes pieces of one sequence's tokens. */
export class PieceMaker {
  readonly #decoder: StreamDecoder | undefined;
  readonly #stops: StopStrings;
  readonly #unfinished: boolean;

  constructor({ tokenizer, stops, before, unfinished = false }: PieceOptions) {
    this.#decoder = tokenizer?.streamDecoder({ skipSpecialTokens: true });
    this.#stops = stops;
    this.#unfinished = unfinished;
    for (let index = Math.max(0, before.length - CONTEXT); index < before.length; index++)
      this.#decoder?.push(before[index]!);
  }

  push({ id, logProb, topLogProbs }: GeneratedToken): { readonly piece: GeneratedPiece; readonly stopped: boolean } {
    const { text, stopped } = this.#stops.push(this.#decoder?.push(id) ?? '');
    return { piece: { id, text, logProb, topLogProbs, finishReason: undefined }, stopped };
  }

  /** The closing piece, with what was held back; after a stop string there is nothing. */
  end(reason: FinishReason, stopped = false): GeneratedPiece {
    const rest = stopped || this.#unfinished ? '' : (this.#decoder?.end() ?? '');
    const last = this.#stops.push(rest);
    const text = stopped || last.stopped ? last.text : last.text + this.#stops.end();
    const finishReason = last.stopped ? 'stop' : reason;
    return { id: undefined, text, logProb: undefined, topLogProbs: undefined, finishReason };
  }
}

/** One piece a token, then the closing piece. The tokens' generator is ended on every way out. */
export async function* makePieces(
  tokens: AsyncGenerator<GeneratedToken, FinishReason, void>,
  maker: PieceMaker,
): AsyncGenerator<GeneratedPiece, void, void> {
  try {
    for (;;) {
      const { done, value } = await tokens.next();
      if (done) {
        yield maker.end(value);
        return;
      }
      const { piece, stopped } = maker.push(value);
      yield piece;
      if (!stopped) continue;
      // Before the closing piece, so that what was computed is freed by then.
      await tokens.return('stop');
      yield maker.end('stop', true);
      return;
    }
  } finally {
    // On `break` the inner generator has to hear of it, to free its state.
    await tokens.return('stop');
  }
}
