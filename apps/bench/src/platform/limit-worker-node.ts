import { parentPort } from 'node:worker_threads';
import { answerLimit } from '../machine/limit-worker.ts';
import type { LimitRequest } from './platform.ts';

parentPort?.on('message', async (request: LimitRequest) => parentPort?.postMessage(await answerLimit(request)));
