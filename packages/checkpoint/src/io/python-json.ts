/**
 * JSON as Python writes it: `Infinity`, `-Infinity` and `NaN` stand for numbers there, which the format does not have.
 * Undefined where the text has none of them, so that nothing is gained by reading it so.
 * @throws SyntaxError where it is not JSON otherwise.
 */
export function parsePythonJson(text: string): { readonly value: unknown } | undefined {
  const pieces: string[] = [];
  let done = 0;
  let found = false;
  // A string that the text does not hold stands for NaN.
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
    // 1e999 is beyond every number, and read as infinity.
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

/** Of its closing quote, or the text's end where there is none. */
function endOfString(text: string, start: number): number {
  let index = start + 1;
  while (index < text.length && text[index] !== '"') index += text[index] === '\\' ? 2 : 1;
  return index;
}
