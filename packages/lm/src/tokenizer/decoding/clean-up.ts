import { ReplaceText, type TextStep, TextSteps } from './text-steps.ts';

/** In this order, as transformers has them. */
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

/** Takes out the spaces that a vocabulary of words puts before punctuation and contractions. */
export function cleanUp(): TextStep {
  return new TextSteps(REPLACEMENTS.map(([pattern, content]) => new ReplaceText(pattern, content)));
}
