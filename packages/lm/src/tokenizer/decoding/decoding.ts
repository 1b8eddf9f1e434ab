import { cleanUp } from './clean-up.ts';
import { flatten, planOf } from './decoders.ts';
import { ReplaceText, type TextStep, TextSteps, TrimText, WholeText } from './text-steps.ts';
import type { TokenStep } from './token-steps.ts';

/**
 * A text that is made of tokens as they come. The pieces joined are the text of all of them: there is no other way to
 * decode.
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

/** What of a tokenizer decides how its tokens become text. */
export interface DecodingParts {
  /** Which file that is, for errors. */
  readonly origin: string;
  /** As `tokenizer.json` has it. */
  readonly decoder: unknown;
  /** Contents of the added tokens. */
  readonly added: ReadonlySet<string>;
  /** What the model's vocabulary ends words with. */
  readonly wordSuffix: string | undefined;
  /** The config's `clean_up_tokenization_spaces`. Only vocabularies of words want it: in others a space is a space. */
  readonly cleanUp: boolean;
}

export interface DecodingOptions {
  /** Spaces at both ends go where the vocabulary ends words with a suffix. */
  readonly trims: boolean;
  /** Other text goes before: no token is the first. */
  readonly begun: boolean;
}

/**
 * How tokens become text: a function, since each text has a decoding of its own.
 * @throws Error where the decoder is damaged or not known.
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
