import * as library from '@huggingface/tokenizers';
import { limitReplacements } from '../pattern-limits.ts';
import { cleanUp } from './clean-up.ts';
import { ReplaceText, StripText, type TextStep, TextSteps } from './text-steps.ts';
import {
  ByteFallback,
  ByteLevel,
  Collapse,
  EachToken,
  stripToken,
  type TokenStep,
  WordSuffix,
  whole,
} from './token-steps.ts';

/** Translates Rust's regular expressions; the types of the library do not declare this class. */
const { ReplaceDecoder } = library as unknown as {
  readonly ReplaceDecoder: new (config: object) => { readonly pattern: RegExp };
};

/** One decoder of a sequence. */
export interface Plan {
  step(options: StepOptions): TokenStep;
  /** The same change for a single token that comes in pieces; absent if it needs the whole token. */
  readonly textStep?: (options: Pick<StepOptions, 'begun'>) => TextStep;
  /** Joins all tokens to one. */
  readonly fuses?: boolean;
}

export interface StepOptions {
  /** The step may give a token in several parts, because the next step only joins tokens. */
  readonly inParts: boolean;
  /** The tokens continue a text, so that none is the first. */
  readonly begun: boolean;
}

export interface DecoderConfig {
  readonly type?: unknown;
  readonly [field: string]: unknown;
}

/** The decoders of a (nested) sequence in order. Without a decoder, tokens are words that are joined by spaces. */
export function flatten(decoder: unknown): readonly DecoderConfig[] {
  if (decoder === null || decoder === undefined) return [{ type: 'Words' }];
  const config = decoder as DecoderConfig;
  if (config.type !== 'Sequence') return [config];
  const decoders = config.decoders ?? [];
  if (!Array.isArray(decoders)) throw new Error('decoder.decoders is no list');
  return decoders.flatMap((inner: unknown) => flatten(inner));
}

/** @throws Error for a decoder that is malformed or not supported. */
export function planOf(config: DecoderConfig, added: ReadonlySet<string>, origin: string): Plan {
  const each = (change: (token: string, first: boolean) => string): Plan => ({
    step: ({ begun }) => new EachToken(change, begun),
  });
  switch (config.type) {
    // The tokenizer has no decoder.
    case 'Words':
      return each((token, first) => (first ? token : ` ${token}`));
    case 'Fuse':
      return { ...each((token) => token), textStep: () => new TextSteps([]), fuses: true };
    case 'ByteLevel':
      return { step: () => new ByteLevel(added), fuses: true };
    case 'ByteFallback':
      return { step: ({ inParts }) => new ByteFallback(inParts) };
    case 'BPEDecoder': {
      const suffix = textField(config, 'suffix', '</w>');
      return suffix === '' ? each((token) => token) : { step: () => new WordSuffix(suffix) };
    }
    case 'Metaspace':
      return metaspace(config);
    case 'WordPiece':
      return wordPiece(config);
    case 'CTC':
      return collapse(config);
    case 'Replace':
      return replace(config, origin);
    case 'Strip': {
      const content = textField(config, 'content', ' ');
      const [start, stop] = [countField(config, 'start'), countField(config, 'stop')];
      return {
        ...each((token) => stripToken(token, content, start, stop)),
        textStep: ({ begun }) => new StripText(content, begun ? 0 : start, stop),
      };
    }
    default:
      throw new Error(`the decoder ${JSON.stringify(config.type) ?? 'without a type'} is not known`);
  }
}

/** Replaces the mark (U+2581) by a space, and removes the one that the tokenizer put before the first word. */
function metaspace(config: DecoderConfig): Plan {
  const mark = textField(config, 'replacement', '\u2581');
  const scheme = config.prepend_scheme ?? (config.add_prefix_space === false ? 'never' : 'always');
  const change = (token: string, first: boolean): string => {
    const text = mark === '' ? token : token.replaceAll(mark, ' ');
    return first && scheme !== 'never' && text.startsWith(' ') ? text.slice(1) : text;
  };
  return { step: ({ begun }) => new EachToken(change, begun) };
}

/** Joins tokens by spaces, except those with a prefix, which continue a word. */
function wordPiece(config: DecoderConfig): Plan {
  const prefix = textField(config, 'prefix', '##');
  const change = (token: string, first: boolean): string => {
    if (first) return token;
    return prefix !== '' && token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
  };
  const cleans = config.cleanup === true;
  const clean = (token: string, first: boolean): string => whole(cleanUp(), change(token, first));
  return { step: ({ begun }) => new EachToken(cleans ? clean : change, begun) };
}

function collapse(config: DecoderConfig): Plan {
  const padding = textField(config, 'pad_token', '<pad>');
  const delimiter = textField(config, 'word_delimiter_token', '|');
  const cleans = config.cleanup === true;
  const change = (token: string): string => {
    if (!cleans) return token;
    const clean = whole(cleanUp(), token);
    return delimiter === '' ? clean : clean.replaceAll(delimiter, ' ');
  };
  return { step: () => new Collapse(padding, change) };
}

/** Replaces a literal or a regular expression, under the limits for untrusted patterns. */
function replace(config: DecoderConfig, origin: string): Plan {
  const content = textField(config, 'content', '');
  const pattern = (config.pattern as { readonly String?: unknown; readonly Regex?: unknown } | undefined) ?? {};
  if (typeof pattern.String === 'string') {
    const literal = pattern.String;
    return {
      step() {
        const limited = limitReplacements(origin, content, false);
        const change = (token: string): string => limited(token, () => token.replaceAll(literal, () => content));
        return new EachToken((token) => (literal === '' ? token : change(token)));
      },
      textStep: () => new ReplaceText(literal, content, limitReplacements(origin, content, false)),
    };
  }
  if (typeof pattern.Regex !== 'string') throw new Error('the pattern of a decoder is neither String nor Regex');
  const expression = new ReplaceDecoder({ type: 'Replace', pattern: { Regex: pattern.Regex }, content }).pattern;
  return {
    step() {
      const limited = limitReplacements(origin, content, true);
      return new EachToken((token) => limited(token, () => token.replaceAll(expression, () => content)));
    },
  };
}

function textField(config: DecoderConfig, field: string, otherwise: string): string {
  const value = config[field] ?? otherwise;
  if (typeof value !== 'string') throw new Error(`${field} of a decoder is no text`);
  return value;
}

function countField(config: DecoderConfig, field: string): number {
  const value = config[field] ?? 0;
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new Error(`${field} of a decoder is no count`);
  return value as number;
}
