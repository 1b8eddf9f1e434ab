/** The names of all parts of a GGUF file that `name` is one of (`x-00002-of-00003.gguf`); undefined where it is a whole one. */
export function ggufParts(name: string): readonly string[] | undefined {
  const [, stem, index, count, ending] = /^(.*)-(\d{5})-of-(\d{5})(\.gguf)$/i.exec(name) ?? [];
  const total = Number(count);
  if (stem === undefined || !(Number(index) >= 1 && Number(index) <= total)) return undefined;
  return Array.from(
    { length: total },
    (_, part) => `${stem}-${String(part + 1).padStart(5, '0')}-of-${count}${ending}`,
  );
}
