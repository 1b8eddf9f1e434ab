/** Runs a contender in a browser for a run in Node. */
import type { Ask } from '../src/seat/messages.ts';
import { createServer } from '../src/seat/serve.ts';

const answer = createServer();
addEventListener('message', async ({ data }: MessageEvent<Ask>) => postMessage(await answer(data)));
