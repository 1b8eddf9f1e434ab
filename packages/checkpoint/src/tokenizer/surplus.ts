import { MambaError } from '@mamba/core';
import { quote } from '../errors.ts';
import type { JsonObject } from '../io/optional.ts';
import type { WarningListener } from '../warnings.ts';
import type { TokenizerFiles } from './files.ts';
import { tokenText } from './named-tokens.ts';

/**
 * Warns once of tokens that the model has no row for, since texts with such a token would be refused later.
 * @param read Reads the files. It is called at the first request for them.
 */
export function withSurplusWarning(
  read: () => Promise<TokenizerFiles>,
  vocabSize: number,
  onWarning: WarningListener,
): () => Promise<TokenizerFiles> {
  let found: Promise<TokenizerFiles> | undefined;
  const readAndWarn = async (): Promise<TokenizerFiles> => {
    const files = await read();
    const surplus = tokensFrom(files.json ?? {}, vocabSize);
    if (surplus.length > 0) onWarning(warningOf(files.origin, surplus, vocabSize));
    return files;
  };
  return () => {
    found ??= readAndWarn();
    return found;
  };
}

function warningOf(origin: string, surplus: readonly string[], vocabSize: number): MambaError {
  const others = surplus.length > 1 ? ` and ${surplus.length - 1} more` : '';
  return new MambaError('invalid-file', `${origin} has tokens that the model has not`, {
    origin,
    given: `${quote(surplus[0]!)}${others}`,
    expected: `ids below ${vocabSize}`,
    remedy: 'Texts with them are refused. Give the tokenizer that the model was trained with.',
  });
}

/** The tokens of a `tokenizer.json` whose ids are at least `least`. */
function tokensFrom(json: object, least: number): readonly string[] {
  const { added_tokens: added, model } = json as JsonObject;
  const vocab: unknown = (model as { readonly vocab?: unknown } | null | undefined)?.vocab;
  const listed = Array.isArray(vocab)
    ? vocab.slice(least).map((entry: unknown) => String((entry as unknown[])?.[0]))
    : [];
  const mapped = Object.entries(Array.isArray(vocab) ? {} : ((vocab ?? {}) as Readonly<Record<string, unknown>>));
  const named = Array.isArray(added)
    ? added.map((token: unknown) => [tokenText(token) ?? '', (token as { readonly id?: unknown } | null)?.id] as const)
    : [];
  const beyond = [...mapped, ...named].filter(([, id]) => typeof id === 'number' && id >= least);
  return [...new Set([...listed, ...beyond.map(([text]) => text)])];
}
