/** Reads the text that language models learn. Node only. */
import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { MambaError } from '@mamba/core';
import { reasonOf } from '../../schema/write.ts';

/**
 * The bytes of a text, unpacked where it is a gzip file.
 * @throws MambaError `io` where it cannot be read or unpacked.
 */
export async function readCorpus(file: string): Promise<Uint8Array> {
  try {
    const bytes = await readFile(file);
    return bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes;
  } catch (cause) {
    throw new MambaError('io', `${file} could not be read: ${reasonOf(cause)}`, { origin: file, cause });
  }
}
