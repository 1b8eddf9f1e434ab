import { cleanUp } from './clean-up.ts';
import { flatten, planOf } from './decoders.ts';
import { ReplaceText, type TextStep, TextSteps, TrimText, WholeText } from './text-steps.ts';
import type { TokenStep } from './token-steps.ts';

/**
 * Decodes the tokens of one text as they come. The pieces joined are the text of all tokens; decoding a list of ids at
 * once uses this class too, so that both always agree.
 */
export class Decoding {
  readonly #tokenSteps: readonly TokenStep[];
  readonly #textSteps: TextSteps;

  constructor(tokenSteps: readonly TokenStep[], textSteps: readonly TextStep[]) {
    this.#tokenSteps = tokenSteps;
    this.#textSteps = new TextSteps(textSteps);
  }

  push(token: string): string {
    return this.#textSteps.push(this.#run([token], 0).join(''));
  }

  end(): string {
    const rest = this.#tokenSteps.map((step, index) => this.#run(step.end(), index + 1).join(''));
    return this.#textSteps.push(rest.join('')) + this.#textSteps.end();
  }

  #run(tokens: readonly string[], from: number): readonly string[] {
    return this.#tokenSteps.slice(from).reduce((some, step) => some.flatMap((token) => step.push(token)), tokens);
  }
}

/** The parts of a tokenizer that determine how its tokens become text. */
export interface DecodingParts {
  /** Names the tokenizer in errors. */
  readonly origin: string;
  /** `decoder` of `tokenizer.json`. */
  readonly decoder: unknown;
  /** The added tokens. */
  readonly added: ReadonlySet<string>;
  /** The suffix of tokens at the end of a word, if the vocabulary has one. */
  readonly wordSuffix: string | undefined;
  /** `clean_up_tokenization_spaces` of the config; only used for WordPiece, since other vocabularies keep spaces. */
  readonly cleanUp: boolean;
}

export interface DecodingOptions {
  /** Trims whitespace at both ends, if the vocabulary has a word suffix. */
  readonly trims: boolean;
  /** The tokens continue a text, so that none is the first. */
  readonly begun: boolean;
}

/**
 * Returns a function that makes a decoding for each text.
 * @throws Error for a decoder that is malformed or not supported.
 */
export function decodingOf(parts: DecodingParts): (options: DecodingOptions) => Decoding {
  const decoders = flatten(parts.decoder);
  const plan = decoders.map((decoder) => planOf(decoder, parts.added, parts.origin));
  const fuse = plan.findIndex(({ fuses }) => fuses);
  const tokens = fuse < 0 ? plan : plan.slice(0, fuse + 1);
  const text = fuse < 0 ? [] : plan.slice(fuse + 1);
  const { wordSuffix } = parts;
  const cleans = parts.cleanUp && decoders.some(({ type }) => type === 'WordPiece');
  const joined = (index: number): boolean => index + 1 === tokens.length || decoders[index + 1]!.type === 'Fuse';
  return ({ trims, begun }) => {
    const textSteps = text.map(
      ({ step, textStep }) =>
        textStep?.({ begun }) ?? new WholeText((all) => alone(step({ inParts: false, begun }), all)),
    );
    if (wordSuffix !== undefined) textSteps.push(new ReplaceText(wordSuffix, ' '));
    if (wordSuffix !== undefined && trims) textSteps.push(new TrimText(begun));
    if (cleans) textSteps.push(cleanUp());
    const tokenSteps = tokens.map(({ step }, index) => step({ inParts: joined(index), begun }));
    return new Decoding(tokenSteps, textSteps);
  };
}

function alone(step: TokenStep, token: string): string {
  return [...step.push(token), ...step.end()].join('');
}
