import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliDecompressSync } from 'node:zlib';

const packageFolder = dirname(dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium')));
const cache = join(dirname(fileURLToPath(import.meta.url)), '..', 'node_modules', '.cache', 'chromium');

/**
 * Returns the folder `name` with these archives of @sparticuz/chromium's `bin`, which are unpacked once into this
 * package's cache.
 */
export function unpacked(name: string, archives: readonly string[]): string {
  const target = join(cache, name);
  if (existsSync(target)) return target;
  mkdirSync(cache, { recursive: true });
  // Two processes may unpack at once. Each unpacks into its own folder, and the first to finish gives its folder the
  // name.
  const own = mkdtempSync(join(cache, 'unpacking-'));
  for (const archive of archives) {
    const bytes = brotliDecompressSync(readFileSync(join(findBin(), archive)));
    if (archive.includes('.tar.')) untar(bytes, own);
    else writeFileSync(join(own, archive.replace(/\.br$/, '')), bytes, { mode: 0o755 });
  }
  try {
    renameSync(own, target);
  } catch (error) {
    if (!existsSync(target)) throw error;
    rmSync(own, { recursive: true });
  }
  return target;
}

function findBin(): string {
  let folder = packageFolder;
  while (!existsSync(join(folder, 'bin', 'swiftshader.tar.br'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('@sparticuz/chromium has no bin/swiftshader.tar.br');
    folder = parent;
  }
  return join(folder, 'bin');
}

/**
 * Writes the regular files of a ustar archive. Each is a header of 512 bytes (name, size in octal at 124, type at 156),
 * and then data in blocks of 512.
 */
function untar(bytes: Uint8Array, folder: string): void {
  const text = (offset: number, length: number): string => {
    const field = bytes.subarray(offset, offset + length);
    const end = field.indexOf(0);
    return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
  };
  for (let at = 0; at + 512 <= bytes.length && bytes[at] !== 0; ) {
    const size = Number.parseInt(text(at + 124, 12).trim(), 8);
    const type = String.fromCharCode(bytes[at + 156]!);
    const name = [text(at + 345, 155), text(at, 100)].filter(Boolean).join('/');
    if (type === '0' || type === '\0') {
      const path = join(folder, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, bytes.subarray(at + 512, at + 512 + size), { mode: 0o755 });
    }
    at += 512 + Math.ceil(size / 512) * 512;
  }
}
