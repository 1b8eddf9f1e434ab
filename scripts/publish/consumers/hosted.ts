// Where the compiler knows the host, DOM or Node, options take the host's own types and no other types.
import { openUrl } from '@mamba/checkpoint';
import { cpu } from '@mamba/cpu';
import { loadModel } from '@mamba/lm';

const backend = await cpu({ worker: new URL('file:///worker.js') }).create();
const { signal } = new AbortController();
export const lm = await loadModel(backend, new URL('file:///model/'), { signal });
// @ts-expect-error A thing that is no signal.
await loadModel(backend, 'model', { signal: { aborted: false } });
await openUrl('https://example.com/model.safetensors', { fetch, signal });
// @ts-expect-error A thing that is no fetch.
await openUrl('https://example.com/model.safetensors', { fetch: 5 });
