/** Where tokens lie in a text: those from `first` on make it up from the character `start` on, up to `end`. */
export interface Alignment {
  readonly first: number;
  readonly start: number;
  readonly end: number;
}

/** Finds the longest run of last tokens that the text ends with. A token may have no text of its own in it. */
export function align(text: string, labels: readonly string[]): Alignment {
  let start = text.length;
  let first = labels.length;
  while (first > 0) {
    const label = labels[first - 1]!;
    if (!text.endsWith(label, start)) break;
    start -= label.length;
    first--;
  }
  return { first, start, end: text.length };
}
