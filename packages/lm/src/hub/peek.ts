import { type ByteSource, request, retry, unreachable } from '@mamba/checkpoint';
import { fileUrl, type HubServer, refusal, unexpectedAnswer } from './api.ts';
import type { HubFile } from './cache.ts';

/** A source that reads ranges of a file over the network, without caching them. */
export function peekSource(server: HubServer, commit: string, file: HubFile): ByteSource {
  const name = `${server.name}: ${file.name}`;
  return {
    name,
    size: file.size,
    read: (offset, length) => retry(() => readRange(server, commit, file, { offset, length }), server),
    async close() {},
  };
}

async function readRange(
  server: HubServer,
  commit: string,
  file: HubFile,
  { offset, length }: { readonly offset: number; readonly length: number },
): Promise<Uint8Array> {
  const name = `${server.name}: ${file.name}`;
  const headers = { Range: `bytes=${offset}-${offset + length - 1}` };
  const response = await request(fileUrl(server, commit, file.name), { name, headers }, server);
  if (response.status !== 206) {
    await response.body?.cancel();
    throw response.ok ? unexpectedAnswer(server, `the whole of ${file.name}`) : refusal(server, file.name, response);
  }
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    throw unreachable(name, server.signal, cause);
  }
  if (bytes.length !== length)
    throw unexpectedAnswer(server, `${bytes.length} bytes instead of ${length} of ${file.name}`);
  return bytes;
}
