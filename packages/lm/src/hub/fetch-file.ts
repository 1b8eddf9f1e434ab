import { request, retry, unreachable } from '@mamba/checkpoint';
import { fileUrl, type HubServer, refusal, unexpectedAnswer } from './api.ts';
import type { Download, HubFile } from './cache.ts';

/**
 * Downloads the rest of a file. After a failure of the network it resumes where it stopped.
 * @throws MambaError `invalid-file` for an unexpected answer, `unavailable`, `io`, `aborted`
 */
export async function fetchFile(
  server: HubServer,
  commit: string,
  file: HubFile,
  download: Download,
  onBytes: () => void,
): Promise<void> {
  const progress = (): number => download.received;
  while (download.received < file.size)
    await retry(() => fetchRest(server, commit, file, download, onBytes), { ...server, progress });
}

async function fetchRest(
  server: HubServer,
  commit: string,
  file: HubFile,
  download: Download,
  onBytes: () => void,
): Promise<void> {
  const name = `${server.name}: ${file.name}`;
  const response = await ask(server, commit, file, download.received);
  const reader = response.body!.getReader();
  // A server without range requests sends the whole file.
  let skipped = response.status === 206 ? 0 : download.received;
  try {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      const bytes = piece.value.subarray(Math.min(skipped, piece.value.length));
      skipped -= piece.value.length - bytes.length;
      if (download.received + bytes.length > file.size)
        throw unexpectedAnswer(server, `more of ${file.name} than its ${file.size} bytes`);
      if (bytes.length === 0) continue;
      await download.write(bytes);
      onBytes();
    }
    if (download.received < file.size) throw new TypeError(`it ended after ${download.received} of ${file.size} bytes`);
  } catch (cause) {
    throw unreachable(name, server.signal, cause);
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Requests the bytes from `start` on; the answer may have the whole file instead. */
async function ask(server: HubServer, commit: string, file: HubFile, start: number): Promise<Response> {
  const url = fileUrl(server, commit, file.name);
  const input = { name: `${server.name}: ${file.name}` };
  let response = await request(url, { ...input, headers: { Range: `bytes=${start}-` } }, server);
  const encoded = !/^(identity)?$/i.test(response.headers.get('content-encoding') ?? '');
  if (response.status === 416 || (response.status === 206 && encoded)) {
    await response.body?.cancel();
    response = await request(url, input, server);
  }
  const first = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1];
  const astray = response.status === 206 && first !== undefined && Number(first) !== start;
  if (response.ok && response.body !== null && !astray) return response;
  await response.body?.cancel();
  if (astray) throw unexpectedAnswer(server, `${file.name} from ${first} instead of ${start}`);
  throw response.ok ? unexpectedAnswer(server, `nothing of ${file.name}`) : refusal(server, file.name, response);
}
