import { answerLimit } from '../machine/limit-worker.ts';
import type { LimitRequest } from './platform.ts';

addEventListener('message', async ({ data }: MessageEvent<LimitRequest>) => postMessage(await answerLimit(data)));
