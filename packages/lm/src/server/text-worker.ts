/** The worker thread of `EncoderWorker`, with a tokenizer of its own. */
import { parentPort, workerData } from 'node:worker_threads';
import { Tokenizer } from '../tokenizer/tokenizer.ts';
import { toPlainError } from '../worker/protocol.ts';
import type { TextJob, TextResult, TextWorkerData } from './text-protocol.ts';

const { json, config, origin } = workerData as TextWorkerData;
const tokenizer = new Tokenizer(json, config, origin);

parentPort!.on('message', (job: TextJob) => parentPort!.postMessage(answer(job)));

function answer(job: TextJob): TextResult {
  const { splitSpecialTokens } = job;
  try {
    const ids =
      job.kind === 'text'
        ? tokenizer.encode(job.text, { splitSpecialTokens, addSpecialTokens: job.addSpecialTokens })
        : tokenizer.encodeChat(job.messages, { splitSpecialTokens });
    return { ids };
  } catch (error) {
    return { error: toPlainError(error) };
  }
}
