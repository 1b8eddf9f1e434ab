/** Compares systems away from the page, which stays responsive; it listens between samples. */
import { messageOf } from '../../src/errors.ts';
import { findBackends } from '../../src/machine/backends.ts';
import { runRequest } from '../../src/versus/request.ts';
import type { FromWorker, ToWorker } from './messages.ts';

const interruption = new AbortController();

addEventListener('message', ({ data }: MessageEvent<ToWorker>) => {
  if (data.type === 'stop') interruption.abort();
  else run(data).catch((error: unknown) => tell({ type: 'failed', message: messageOf(error) }));
});

async function run({ backend, request }: ToWorker & { type: 'run' }): Promise<void> {
  tell({ type: 'step', label: `looking for ${backend}` });
  const backends = await findBackends([backend]);
  const absent = backends.find(({ record }) => record.status !== 'ready');
  if (absent !== undefined) throw new Error(`${backend} does not run here: ${absent.record.reason}`);
  const report = await runRequest(request, backends, { tell, signal: interruption.signal });
  tell({ type: 'done', report });
}

function tell(notice: FromWorker): void {
  postMessage(notice);
}
