/**
 * Parses JSON as Python writes it, with `Infinity`, `-Infinity` and `NaN` as numbers. Undefined where the text has none
 * of these words and is thus no different from JSON.
 * @throws SyntaxError where the text is not JSON apart from these words.
 */
export function parsePythonJson(text: string): { readonly value: unknown } | undefined {
  const pieces: string[] = [];
  let done = 0;
  let found = false;
  // A string that does not occur in the text represents NaN.
  let mark = 'NaN';
  while (text.includes(mark)) mark += '~';
  for (let index = 0; index < text.length; index++) {
    const letter = text[index];
    if (letter === '"') {
      index = endOfString(text, index);
      continue;
    }
    const word = letter === 'I' ? 'Infinity' : letter === 'N' ? 'NaN' : undefined;
    if (word === undefined || !text.startsWith(word, index)) continue;
    // 1e999 exceeds every number and is parsed as infinity.
    pieces.push(text.slice(done, index), word === 'NaN' ? JSON.stringify(mark) : '1e999');
    index += word.length - 1;
    done = index + 1;
    found = true;
  }
  if (!found) return undefined;
  const value = JSON.parse([...pieces, text.slice(done)].join(''), (_, given: unknown) =>
    given === mark ? Number.NaN : given,
  ) as unknown;
  return { value };
}

/** The index of the closing quote of a string; the length of the text where there is none. */
function endOfString(text: string, start: number): number {
  let index = start + 1;
  while (index < text.length && text[index] !== '"') index += text[index] === '\\' ? 2 : 1;
  return index;
}
