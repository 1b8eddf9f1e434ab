import type { TokenLogProb } from '../sampling/log-softmax.ts';
import { StopStrings } from '../tokenizer/stop-strings.ts';
import type { StreamDecoder } from '../tokenizer/stream-decoder.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { GeneratedToken } from './decoder.ts';
import type { FinishReason } from './generate.ts';

/** A piece of generated text. The pieces' texts joined are the text of all ids, up to a stop string. */
export interface GeneratedPiece {
  /** Undefined in the closing piece. */
  readonly id: number | undefined;
  /** Whole characters; empty while a character is incomplete, while it may begin a stop string, or where there is no tokenizer. */
  readonly text: string;
  /** In nats, under the model; undefined unless asked for. */
  readonly logProb: number | undefined;
  /** The likeliest tokens at this place, likeliest first; undefined unless asked for. */
  readonly topLogProbs: readonly TokenLogProb[] | undefined;
  /** Set in the closing piece alone. */
  readonly finishReason: FinishReason | undefined;
}

/** Makes pieces of one sequence's tokens. */
export class PieceMaker {
  readonly #decoder: StreamDecoder | undefined;
  readonly #stops: StopStrings;

  constructor(tokenizer: Tokenizer | undefined, stops: readonly string[]) {
    this.#decoder = tokenizer?.streamDecoder({ skipSpecialTokens: true });
    this.#stops = new StopStrings(stops);
  }

  push({ id, logProb, topLogProbs }: GeneratedToken): { readonly piece: GeneratedPiece; readonly stopped: boolean } {
    const { text, stopped } = this.#stops.push(this.#decoder?.push(id) ?? '');
    return { piece: { id, text, logProb, topLogProbs, finishReason: undefined }, stopped };
  }

  /** The closing piece, with what was held back; after a stop string there is nothing. */
  end(reason: FinishReason, stopped = false): GeneratedPiece {
    const last = this.#stops.push(stopped ? '' : (this.#decoder?.end() ?? ''));
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
