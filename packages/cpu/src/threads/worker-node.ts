import { parentPort, workerData } from 'node:worker_threads';
import { join, type MemberData } from './member.ts';

await join(workerData as MemberData, () => parentPort?.postMessage('ready'));
