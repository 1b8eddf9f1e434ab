/** Serves a runner in a browser to a run in Node. */
import type { RunnerRequest } from '../src/runner/messages.ts';
import { createServer } from '../src/runner/serve.ts';

const serve = createServer();
addEventListener('message', async ({ data }: MessageEvent<RunnerRequest>) => postMessage(await serve(data)));
