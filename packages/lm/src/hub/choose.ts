import { ggufParts } from '@mamba/checkpoint';
import { MambaError } from '@mamba/core';

/**
 * Finds the GGUF file of a quantisation by its name, in any folder.
 * @param names Paths of all files of the repository.
 * @returns the paths of all its parts.
 * @throws MambaError `invalid-file` if there is none, or more than one.
 */
export function chooseGguf(origin: string, names: readonly string[], quantization: string): readonly string[] {
  const files = new Map<string, readonly string[]>();
  for (const name of names) {
    if (!/\.gguf$/i.test(name)) continue;
    const parts = ggufParts(name) ?? [name];
    files.set(parts[0]!, parts);
  }
  const wanted = quantization.toLowerCase().replace(/[.]/g, '\\.');
  // Matches whole words only: Q4_K is not Q4_K_M, and F16 is not BF16.
  const named = new RegExp(`(^|[-._/ ])${wanted}(?![a-z0-9_])`);
  const found = [...files.keys()].filter((name) => named.test(name.toLowerCase()));
  if (found.length === 1) return files.get(found[0]!)!;
  const seen = found.length > 0 ? found : [...files.keys()];
  throw new MambaError('invalid-file', `${origin}: which GGUF file is meant by ${JSON.stringify(quantization)}?`, {
    origin,
    given: seen.length === 0 ? 'a repository without GGUF files' : `the files ${shorten(seen)}`,
    expected: `one whose name says ${quantization}`,
    remedy:
      seen.length === 0
        ? 'Leave the quantisation out, and give weights: it is for GGUF.'
        : 'Give the quantisation of one of them, or its name, as in owner/name/file.gguf.',
  });
}

function shorten(names: readonly string[]): string {
  const shown = names.slice(0, 16).join(', ');
  return names.length > 16 ? `${shown} and ${names.length - 16} more` : shown;
}
