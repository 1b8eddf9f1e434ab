import type { TokenLogProb } from '../sampling/log-softmax.ts';
import type { StopStrings } from '../tokenizer/stop-strings.ts';
import type { StreamDecoder } from '../tokenizer/stream-decoder.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { GeneratedToken } from './decoder/sequence.ts';
import type { FinishReason } from './generate.ts';

/**
 * A piece of generated text. Joined, the pieces are the text that the generated ids add to the text of the ids before
 * them, up to a stop string: the first word after a prompt keeps its space.
 */
export interface GeneratedPiece {
  /** The token; undefined in the closing piece. */
  readonly id: number | undefined;
  /**
   * Whole characters. Empty while a character is incomplete, while the text may be the beginning of a stop string, and
   * without a tokenizer.
   */
  readonly text: string;
  /** In nats, under the model's own distribution; undefined unless requested. */
  readonly logProb: number | undefined;
  /** The likeliest tokens at this position, likeliest first; undefined unless requested. */
  readonly topLogProbs: readonly TokenLogProb[] | undefined;
  /** Set in the closing piece only. */
  readonly finishReason: FinishReason | undefined;
}

/** Number of previous ids to decode: more than a word or an incomplete character spans. */
const CONTEXT = 1024;

export interface PieceOptions {
  /** Without one, pieces have no text. */
  readonly tokenizer: Tokenizer | undefined;
  readonly stops: StopStrings;
  /** The ids that the text continues. */
  readonly before: ArrayLike<number>;
  /** A later call may continue the text: an incomplete character at the end is left to it. */
  readonly unfinished?: boolean;
}

/** Turns the tokens of one sequence into pieces. */
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

  /** @returns `stopped` if the text has reached a stop string: the closing piece comes next. */
  push({ id, logProb, topLogProbs }: GeneratedToken): { readonly piece: GeneratedPiece; readonly stopped: boolean } {
    const { text, stopped } = this.#stops.push(this.#decoder?.push(id) ?? '');
    return { piece: { id, text, logProb, topLogProbs, finishReason: undefined }, stopped };
  }

  /** The closing piece, with text that was held back. @param stopped A stop string was reached; drops that text. */
  end(reason: FinishReason, stopped = false): GeneratedPiece {
    const rest = stopped || this.#unfinished ? '' : (this.#decoder?.end() ?? '');
    const last = this.#stops.push(rest);
    const text = stopped || last.stopped ? last.text : last.text + this.#stops.end();
    const finishReason = last.stopped ? 'stop' : reason;
    return { id: undefined, text, logProb: undefined, topLogProbs: undefined, finishReason };
  }
}

/** Yields one piece for each token, then the closing piece. Always ends the generator of tokens. */
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
      // Ended before the closing piece, so that the state is freed when the consumer sees it.
      await tokens.return('stop');
      yield maker.end('stop', true);
      return;
    }
  } finally {
    await tokens.return('stop');
  }
}
