import { ReplaceText, type TextStep, TextSteps } from './text-steps.ts';

/** In the order of transformers. */
const REPLACEMENTS = [
  [' .', '.'],
  [' ?', '?'],
  [' !', '!'],
  [' ,', ','],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
] as const;

/** Removes the spaces that decoding a vocabulary of words leaves before punctuation and contractions. */
export function cleanUp(): TextStep {
  return new TextSteps(REPLACEMENTS.map(([pattern, content]) => new ReplaceText(pattern, content)));
}
